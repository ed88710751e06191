#include "gateway/conformance/subject.hpp"

#include <gatehouse/plugin/border.hpp>

#include "gateway/services/host_services.hpp"

#include <array>

namespace gatehouse::conformance {
namespace {

/// A place for the plugin's sentence.
struct Why {
  std::array<char, 1024> text{};
  gh_message message{text.data(), text.size(), 0};
  [[nodiscard]] Answer answer(gh_status status) const {
    return {status, std::string(text.data(), std::min(message.size, text.size()))};
  }
};

}  // namespace

Rig::Rig(const Subject& subject, Notes& notes_)
    : notes(notes_), plugin(load_plugin(subject.file, offered_interfaces())), watched(notes_) {
  host.interpose(&watched);
  const OptionsReading defaults = read_options({}, manifest().id, manifest().options_schema);
  options = Json::parse(defaults.json, nullptr, false);
  if (!options.is_object()) options = Json::object();
  options.update(subject.options);
}

Answer Rig::create(gh_instance*& out) {
  Why why;
  out = nullptr;
  return why.answer(ops().create(host.table(), to_border(manifest().id), &out, &why.message));
}

Answer Rig::configure(gh_instance* instance, std::string_view document, std::uint32_t flags) {
  Why why;
  return why.answer(ops().configure(instance, to_border(document), flags, &why.message));
}

Answer Rig::try_options(std::string_view document, std::uint32_t flags) {
  gh_instance* instance = nullptr;
  Answer answer = create(instance);
  if (!answer.ok()) return answer;
  answer = configure(instance, document, flags);
  ops().destroy(instance);
  return answer;
}

void Rig::require_words(const Answer& answer, std::string_view call) {
  if (!answer.ok() && answer.why.empty())
    notes.found("silent_refusal", std::string(call) + " failed (" + std::to_string(answer.status) + ") without a word");
}

}  // namespace gatehouse::conformance
