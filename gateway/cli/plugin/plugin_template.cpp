#include "gateway/cli/plugin/plugin_template.hpp"

#include "gateway/base/refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 32;
constexpr char kPart[] = ".part";

/// "", or why no plugin can have that name.
std::string why_not_a_name(const std::string& name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_allowed = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  const bool good = !name.empty() && is_letter(name.front()) && name.back() != '-' && name.find("--") == name.npos &&
                    std::all_of(name.begin(), name.end(), is_allowed);
  if (!good)
    return "`" + name +
           "` is no plugin's name: that is lower-case letters, digits and single hyphens, such as my-protocol";
  if (name.size() > kLongestName)
    return "a plugin's name has " + std::to_string(kLongestName) + " characters at most, `" + name + "` has more";
  return "";
}

/// "", or why nothing can be made there.
std::string why_not_there(const fs::path& directory) {
  const std::string text = directory.string();
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }))
    return text + " has a character that a configuration file would have to quote; choose another --directory";
  std::error_code error;
  const fs::file_status found = fs::status(directory, error);
  if (!fs::exists(found)) return "";
  if (fs::is_directory(found) && fs::is_empty(directory, error) && !error) return "";
  return text + " is there already, and nothing is overwritten; choose another --directory";
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw Refusal("cannot read the template " + file.string());
  return text;
}

void write_new_file(const fs::path& file, const std::string& text) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), "wxe"), std::fclose);
  if (!out || std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() || std::fflush(out.get()) != 0)
    throw Refusal("cannot write " + file.string() + ": " + std::system_category().message(errno));
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// One kind's templates for one project.
class Template {
 public:
  Template(const fs::path& templates, const PluginProject& project)
      : common_(templates / "common"), own_(templates / project.kind), project_(project), word_(project.name) {
    std::replace(word_.begin(), word_.end(), '-', '_');
  }

  /// Every file of it, by where it goes.
  [[nodiscard]] std::vector<std::pair<fs::path, fs::path>> files() const {
    std::vector<std::pair<fs::path, fs::path>> out;
    for (const fs::path& folder : {common_, own_})
      for (const fs::directory_entry& entry : fs::directory_iterator(folder))
        if (entry.path().extension() != kPart) out.emplace_back(filled(entry.path().filename().string()), entry.path());
    std::sort(out.begin(), out.end());
    return out;
  }

  /// What the project has of a template's text, or of its name.
  [[nodiscard]] std::string filled(const std::string& text) const {
    std::string out;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
      const std::string line = text.substr(begin, end - begin);
      const bool is_part = line.size() > 3 && line.front() == '@' && line.substr(line.size() - 2) == "@\n";
      out += is_part ? read_file(own_ / (line.substr(1, line.size() - 3) + kPart)) : line;
      begin = end;
    }
    replace_all(out, "my-protocol", project_.name);
    replace_all(out, "my_protocol", word_);
    replace_all(out, "@DIRECTORY@", project_.directory.string());
    return out;
  }

 private:
  fs::path common_, own_;
  const PluginProject& project_;
  std::string word_;  // the name as C++ has it
};

}  // namespace

fs::path template_folder() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = program.parent_path().parent_path() / "share/gatehouse/template";
  if (!fs::is_directory(folder / "common", error))
    throw Refusal("there is no " + folder.string() +
                  ": install the SDK beside this program, by `cmake --install BUILD "
                  "--component sdk` with its prefix");
  return folder;
}

std::vector<fs::path> make_plugin_project(const fs::path& templates, const PluginProject& project) {
  refuse_unless(why_not_a_name(project.name));
  refuse_unless(why_not_there(project.directory));
  std::error_code error;
  fs::create_directories(project.directory, error);
  if (error) throw Refusal("cannot make " + project.directory.string() + ": " + error.message());
  std::vector<fs::path> made;
  const Template from(templates, project);
  for (const auto& [name, file] : from.files()) {
    write_new_file(project.directory / name, from.filled(read_file(file)));
    made.push_back(name);
  }
  return made;
}

}  // namespace gatehouse
