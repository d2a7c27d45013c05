// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "node/confirm.hpp"
#include "node/plan.hpp"

// Changes of a running node's configuration as a whole: `reload`, and confirmed changes that take
// themselves back. Owner: the node; control thread. What does not differ is not touched.
namespace chaincast::node {

class Node;

class Changer {
 public:
  explicit Changer(Node& node) : node_(node) {}

  // Reads the file that the node was started with. All of it that can change in a running node is
  // applied, or nothing: a bad file is refused with line and remedy, and where a step fails, the
  // steps before it are taken back. `confirm_ns`: 0, or as begin() just before it.
  ops::Reply reload(TimeNs confirm_ns);
  // Says what reload() would do.
  ops::Reply check() const;

  // The confirmed change (confirm.hpp). `begin` binds it to the connection whose command runs.
  ops::Reply begin(TimeNs wait_ns);
  ops::Reply commit();
  ops::Reply rollback();
  ops::Reply show() const;
  void on_closed(cli::SessionId session, TimeNs now_ns);
  void tick(TimeNs now_ns);

 private:
  Result<Config> load() const;
  Status apply(const Config& wanted, const std::vector<Change>& plan);
  Status execute(const Config& wanted, const std::vector<Change>& plan);
  Status remove(const std::vector<Change>& plan);
  Status add(const Config& wanted, const std::vector<Change>& plan);
  Status adjust(const Config& wanted, const std::vector<Change>& plan);
  void restore(const char* why);
  void settle();
  void log(const char* what, const std::vector<Change>& plan) const;

  Node& node_;
  Confirm confirm_;
  std::optional<Config> checkpoint_;
  bool is_cut_ = false;  // restore at the next turn: consoles are busy closing
  std::string problem_;  // why the last restoring failed
};

// Of `reload`, `reload check` and `show commit`.
ops::Json plan_schema();
ops::Json commit_schema();

}  // namespace chaincast::node
