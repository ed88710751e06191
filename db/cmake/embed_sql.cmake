# cmake -D OUT=x.cpp -D "MIGRATIONS=0001.sql;0002.sql" -D STARTER=starter.sql -P embed_sql.cmake
# Makes one source file of db/ with the migrations, in the order given, and the starter policy as raw strings.
set(text "// Made by db/cmake/embed_sql.cmake from the .sql files of db/. Not to be edited.\n")
string(APPEND text "#include \"db/migrations.hpp\"\n\n")
string(APPEND text "namespace gatehouse::db {\nnamespace {\n\nconstexpr std::string_view kPolicyMigrations[] = {\n")
foreach(file ${MIGRATIONS})
  file(READ ${file} sql)
  string(APPEND text "R\"SQL(${sql})SQL\",\n")
endforeach()
file(READ ${STARTER} sql)
string(APPEND text "};\n\n}  // namespace\n\n"
  "std::span<const std::string_view> policy_migrations() noexcept { return kPolicyMigrations; }\n\n"
  "std::string_view starter_policy() noexcept {\n  return R\"SQL(${sql})SQL\";\n}\n\n}  // namespace gatehouse::db\n")
file(WRITE ${OUT} "${text}")
