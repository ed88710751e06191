// Takes a short list of names into a policy, as `gatehouse policy import` would.
#pragma once

#include "db/lists/import.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <string>

namespace gatehouse {

inline void import_domains(const std::filesystem::path& database, const std::string& name, const std::string& lines) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  ASSERT_EQ(::write(to.get(), lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  to.reset();
  db::ImportRequest request;
  request.name = name;
  request.format = db::ListFormat::domains;
  db::import_list(database, from.get(), request, {});
}

}  // namespace gatehouse
