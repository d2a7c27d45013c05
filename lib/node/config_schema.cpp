// SPDX-License-Identifier: BSD-3-Clause
// What to_json() gives, as a schema: one more walk over the fields.
#include "node/config_fields.hpp"
#include "ops/schema.hpp"

namespace chaincast::node {

namespace {

using ops::Json;
namespace schema = ops::schema;

// A key that is not set is null, except where it has a default.
class SchemaVisitor final : public FieldVisitor {
 public:
  SchemaVisitor() { levels_.emplace_back(); }
  std::vector<schema::Field> take() { return std::move(levels_.front()); }

  bool text(const Key& key, std::string&) override {
    return put(key, schema::nullable(schema::text()));
  }
  bool path(const Key& key, std::string& value) override { return text(key, value); }
  bool flag(const Key& key, bool&) override { return put(key, schema::flag()); }
  bool number64(const Key& key, std::optional<uint64_t>& value, const Range& range) override {
    Json number = schema::count();
    number["minimum"] = range.min;
    number["maximum"] = range.max;
    return put(key, value ? std::move(number) : schema::nullable(std::move(number)));
  }
  bool real(const Key& key, double&) override { return put(key, schema::real()); }
  bool choose(const Key& key, unsigned&, std::span<const Choice> choices) override {
    std::vector<std::string_view> names;
    for (const Choice& choice : choices) names.push_back(choice.name);
    return put(key, schema::one_of(names));
  }
  bool texts(const Key& key, std::vector<std::string>&, size_t) override {
    return put(key, schema::list(schema::text()));
  }
  bool numbers(const Key& key, std::vector<unsigned>&, const Range&) override {
    return put(key, schema::list(schema::count()));
  }
  bool mixed(const Key& key, std::string&) override { return put(key, schema::text()); }
  bool enter(const Key& key, bool) override {
    tables_.push_back(key.name);
    levels_.emplace_back();
    return true;
  }
  void leave() override {
    Json table = schema::object(levels_.back());
    levels_.pop_back();
    put(Key{tables_.back(), ""}, schema::nullable(std::move(table)));
    tables_.pop_back();
  }
  void problem(const Key&, const std::string&) override {}

 private:
  bool put(const Key& key, Json of) {
    levels_.back().push_back({key.name, std::move(of)});
    return false;
  }

  std::vector<std::vector<schema::Field>> levels_;
  std::vector<std::string_view> tables_;
};

template <typename Section>
std::vector<schema::Field> fields_of() {
  SchemaVisitor visitor;
  Section section;
  visit(visitor, section);
  return visitor.take();
}

}  // namespace

Json config_schema() {
  std::vector<schema::Field> stream = fields_of<StreamConfig>();
  stream.push_back({"payload_bytes", schema::count()});
  return schema::object({{"node", schema::object(fields_of<NodeConfig>())},
                         {"ports", schema::list(schema::object(fields_of<PortConfig>()))},
                         {"peers", schema::list(schema::object(fields_of<PeerConfig>()))},
                         {"streams", schema::list(schema::object(stream))},
                         {"repair", schema::object(fields_of<repair::RepairConfig>())},
                         {"metrics", schema::object(fields_of<MetricsConfig>())},
                         {"rest", schema::object(fields_of<RestConfig>())},
                         {"membership", schema::object(fields_of<MembershipConfig>())}});
}

}  // namespace chaincast::node
