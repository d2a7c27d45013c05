# SPDX-License-Identifier: BSD-3-Clause
"""A PEP 517 backend for this one package: `pip install .` asks no index, and works where neither
setuptools nor wheel is installed. What it reads of pyproject.toml are three lines."""

import base64
import hashlib
import re
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LICENCE = "BSD-3-Clause"
TIME = (2026, 1, 1, 0, 0, 0)  # the same files make the same wheel


def _field(name):
    """A `name = "value"` of [project]."""
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(rf'^{name} = "(.*)"$', text, re.MULTILINE)[1]


def _stem():
    return f"{_field('name')}-{_field('version')}"


def _metadata():
    return (f"Metadata-Version: 2.1\nName: {_field('name')}\nVersion: {_field('version')}\n"
            f"Summary: {_field('description')}\nLicense: {LICENCE}\n"
            f"Requires-Python: {_field('requires-python')}\n")


def _files():
    """(name in the wheel, bytes) of the package and its metadata."""
    package = HERE / _field("name")
    for path in sorted(package.iterdir()):
        if path.suffix == ".py" or path.name == "py.typed":
            yield f"{package.name}/{path.name}", path.read_bytes()
    info = f"{_stem()}.dist-info"
    yield f"{info}/METADATA", _metadata().encode()
    yield f"{info}/WHEEL", (b"Wheel-Version: 1.0\nGenerator: chaincast\nRoot-Is-Purelib: true\n"
                            b"Tag: py3-none-any\n")


def _record(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """PEP 517: writes the wheel there, returns its name."""
    del config_settings, metadata_directory
    name = f"{_stem()}-py3-none-any.whl"
    record = ""
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in _files():
            wheel.writestr(zipfile.ZipInfo(path, TIME), content)
            record += _record(path, content)
        path = f"{_stem()}.dist-info/RECORD"
        wheel.writestr(zipfile.ZipInfo(path, TIME), record + f"{path},,\n")
    return name


def build_sdist(sdist_directory, config_settings=None):
    """PEP 517: the files of this directory that a wheel is made of."""
    del config_settings
    name = f"{_stem()}.tar.gz"
    with tarfile.open(Path(sdist_directory) / name, "w:gz") as archive:
        for path in ["pyproject.toml", "build_wheel.py", _field("name")]:
            archive.add(HERE / path, f"{_stem()}/{path}",
                        filter=lambda one: None if "__pycache__" in one.name else one)
    return name
