#include "db/policy/policy_editor.hpp"

#include "db/policy/policy_database.hpp"

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kWriterTimeout{5000};

}  // namespace

PolicyEditor::PolicyEditor(const std::filesystem::path& path, std::string_view who, std::chrono::milliseconds patience)
    : database_(open_policy(path, kWriterTimeout)),
      limit_(database_, patience, nullptr),
      transaction_(database_, Transaction::Kind::immediate) {
  must_be_tables(database_);  // anybody may have changed the schema since it was opened
  Statement statement = database_.prepare("UPDATE meta SET editor = ?1");
  statement.bind(1, who);
  static_cast<void>(statement.step());
}

policy::Model PolicyEditor::load() { return load_policy(database_); }

void PolicyEditor::commit() {
  database_.run("UPDATE meta SET editor = 'sql'");
  transaction_.commit();
}

}  // namespace gatehouse::db
