# cmake -D OUT=x.cpp -D "POLICY=0001.sql;0002.sql" -D "STATE=..." -D "SECRETS=..." -D STARTER=starter.sql -P embed_sql.cmake
# Makes one source file of db/ with the migrations of each database, in the order given, and the starter policy as raw
# strings.
set(text "// Made by db/cmake/embed_sql.cmake from the .sql files of db/. Not to be edited.\n")
string(APPEND text "#include \"db/migrations.hpp\"\n\nnamespace gatehouse::db {\nnamespace {\n\n")
foreach(database POLICY STATE SECRETS)
  string(APPEND text "constexpr std::string_view k${database}[] = {\n")
  foreach(file ${${database}})
    file(READ ${file} sql)
    string(APPEND text "R\"SQL(${sql})SQL\",\n")
  endforeach()
  string(APPEND text "};\n")
endforeach()
string(APPEND text "\n}  // namespace\n\n")
foreach(database POLICY STATE SECRETS)
  string(TOLOWER ${database} name)
  string(APPEND text "std::span<const std::string_view> ${name}_migrations() noexcept { return k${database}; }\n")
endforeach()
file(READ ${STARTER} sql)
string(APPEND text
  "\nstd::string_view starter_policy() noexcept {\n  return R\"SQL(${sql})SQL\";\n}\n\n}  // namespace gatehouse::db\n")
file(WRITE ${OUT} "${text}")
