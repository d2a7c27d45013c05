# SPDX-License-Identifier: BSD-3-Clause
"""Include direction: who may know whom, and where a vendor's headers may be named."""

import re

from tidy.source import Finding


def list_of(text, name):
    """The words of `name = [...]` in a meson file."""
    match = re.search(rf"^{name}\s*=\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    body = re.sub(r"#.*", "", match[1]) if match else ""
    return re.findall(r"'([^']+)'", body)


class Layers:
    """What the build files say: modules, their order and level, and who depends on whom."""

    def __init__(self, tree):
        self.tree = tree
        order = tree.get("lib/meson.build")
        drivers = tree.get("drivers/meson.build")
        self.modules = list_of(order.text, "modules") if order else []
        self.drivers = list_of(drivers.text, "implementations") if drivers else []
        self.features = self.level_of(order.text, 2) if order else set()
        self.known = {}
        for module in self.modules:
            self.known[module] = self.closure(f"lib/{module}/meson.build") | {module}

    def closure(self, path):
        """Modules that a build file declares, and theirs: earlier modules are closed already."""
        source = self.tree.get(path)
        reachable = set()
        for module in list_of(source.text, "deps") if source else []:
            reachable |= self.known.get(module, {module})
        return reachable

    def level_of(self, text, level):
        match = re.search(rf"#\s*level {level}\b[^\n]*\n(.*?)(?=#\s*level|\])", text, re.DOTALL)
        return set(re.findall(r"'([^']+)'", match[1])) if match else set()

    def driver_of(self, include):
        """The driver that an include path names, or None; lib/port and drivers/port share a
        first word, so the file decides."""
        name = "/".join(include.split("/")[:2])
        if name in self.drivers and not self.tree.get("lib/" + include):
            return name
        return None


def check_direction(tree):
    layers = Layers(tree)
    for source in tree.cxx("lib", "drivers"):
        parts = source.path.split("/")
        own_driver = "/".join(parts[1:3]) if parts[0] == "drivers" else None
        if own_driver:
            allowed = layers.closure(f"drivers/{own_driver}/meson.build")
        elif parts[1] in layers.known:
            allowed = layers.known[parts[1]]
        else:
            yield Finding(source.path, 1, "include-direction",
                          f"module '{parts[1]}' is not in the list of lib/meson.build")
            continue
        for line, quoted, include in source.includes:
            if not quoted:
                continue
            problem = judge(layers, parts[1], own_driver, allowed, include)
            if problem:
                yield Finding(source.path, line, "include-direction", problem)


def judge(layers, own, own_driver, allowed, include):
    """What is wrong with a quoted include, or None."""
    driver = layers.driver_of(include)
    if driver:
        if own_driver == driver:
            return None
        return (f"'{include}' belongs to driver {driver}: lib/ and other drivers know only the "
                "interface")
    module = include.split("/")[0]
    if module == "support":
        return f"'{include}' is for tests only"
    if module not in layers.modules or "/" not in include:
        return f"'{include}': write \"module/file.hpp\" with a module of lib/meson.build"
    if module not in allowed:
        return f"'{include}': {module} is not among the `deps` of its meson.build"
    if (own_driver is None and module != own and {module, own} <= layers.features
            and re.match(r"^\w+/(stage|control|commands)(_\w+)?\.hpp$", include)):
        return f"'{include}': features share data types, not {include.split('/')[1]}"
    return None


RTE_MODULES = ("stage", "port", "worker", "fanout", "node")
OUTER = ("drivers", "tests", "perf", "apps")

# (header, folders where it may be named, remedy)
VENDORS = [
    (r"^rte_", OUTER + tuple(f"lib/{module}" for module in RTE_MODULES),
     "DPDK belongs in stage, */stage.*, port, worker, fanout, node and drivers/"),
    (r"^urcu", ("lib/rcu", "tests", "perf"), "use rcu/"),
    (r"^(openssl/|intel-ipsec-mb)", ("drivers", "tests", "perf"), "use crypto/'s interfaces"),
    (r"^(sys/socket|sys/un|sys/epoll|netinet/(?!in\.h))", OUTER, "sockets belong in drivers/"),
    (r"^toml\+\+/", ("lib/node", "tests", "apps"), "configuration is read in node"),
    (r"^systemd/", ("drivers/console",), "the service manager belongs in drivers/console"),
    (r"^histedit|^readline/", ("drivers/console",), "the terminal belongs in drivers/console"),
    (r"^(zlib|bzlib)\.h$", ("lib/route", "lib/graph", "tests", "apps"),
     "compression belongs in route and graph"),
    (r"^spdlog/", ("lib/node", "drivers", "apps", "tests", "perf"), "logging belongs in node"),
]


def check_vendors(tree):
    for source in tree.cxx("lib", "drivers", "apps", "tests", "perf"):
        for line, quoted, include in source.includes:
            for pattern, folders, remedy in VENDORS:
                if quoted or not re.search(pattern, include) or source.under(*folders):
                    continue
                if pattern == r"^rte_" and source.is_stage:
                    continue
                yield Finding(source.path, line, "vendor-header", f"<{include}>: {remedy}")


RULES = [check_direction, check_vendors]
