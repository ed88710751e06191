// Reads OpenMetrics 1.0 text as strictly as its specification has it, for tests of what writes it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse {

class OpenMetricsParser {
 public:
  struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    double value = 0;
  };
  struct Family {
    std::string type, help;
    std::vector<Sample> samples;
  };

  /// @throws std::runtime_error  the line and what is wrong with it
  explicit OpenMetricsParser(const std::string& text) : text_(text) {
    while (!ended_) read_line();
    if (at_ != text_.size()) fail("there is something after # EOF");
    for (const auto& [name, family] : families) check(name, family);
  }

  std::map<std::string, Family> families;

 private:
  [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(line_ + ": " + why); }

  void read_line() {
    const std::size_t end = text_.find('\n', at_);
    if (end == std::string::npos) fail("the text does not end with # EOF and a line feed");
    line_ = text_.substr(at_, end - at_);
    at_ = end + 1;
    i_ = 0;
    for (const char c : line_)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) fail("there is a control character");
    if (line_ == "# EOF") {
      ended_ = true;
    } else if (line_.rfind("# TYPE ", 0) == 0 || line_.rfind("# HELP ", 0) == 0) {
      read_metadata();
    } else {
      read_sample();
    }
  }

  void read_metadata() {
    i_ = 7;
    const std::string name = read_name();
    take(' ');
    const std::string rest = line_.substr(i_);
    if (line_[2] == 'T') {
      if (!families.try_emplace(name).second) fail("the family has come already");
      if (rest != "counter" && rest != "gauge" && rest != "histogram") fail("there is no such type");
      families[name].type = rest;
      current_ = name;
    } else {
      if (name != current_ || !families[name].samples.empty()) fail("help belongs behind the type");
      families[name].help = unescaped(rest, '\0');
    }
  }

  void read_sample() {
    Sample sample;
    sample.name = read_name();
    if (peek() == '{') read_labels(sample);
    take(' ');
    sample.value = number(line_.substr(i_));
    if (current_.empty()) fail("a sample comes before its type");
    Family& family = families[current_];
    const std::string suffix =
        sample.name.rfind(current_, 0) == 0 ? sample.name.substr(current_.size()) : std::string("?");
    const std::set<std::string> suffixes = family.type == "counter" ? std::set<std::string>{"_total"}
                                           : family.type == "gauge"
                                               ? std::set<std::string>{""}
                                               : std::set<std::string>{"_bucket", "_count", "_sum"};
    if (suffixes.count(suffix) == 0) fail("the sample is not one of its family's");
    if ((suffix == "_bucket") != (sample.labels.count("le") == 1)) fail("`le` belongs to buckets");
    if (suffix == "_bucket") check_canonical(sample.labels.at("le"));
    if (family.type != "gauge" && !(sample.value >= 0)) fail("it counts below zero");
    if (!seen_.insert(sample.name + line_.substr(0, i_)).second) fail("the sample has come already");
    family.samples.push_back(std::move(sample));
  }

  void read_labels(Sample& sample) {
    take('{');
    while (peek() != '}') {
      if (!sample.labels.empty()) take(',');
      const std::string name = read_name();
      take('=');
      take('"');
      const std::size_t start = i_;
      while (peek() != '"') i_ += peek() == '\\' ? 2 : 1;
      if (!sample.labels.emplace(name, unescaped(line_.substr(start, i_ - start), '"')).second) fail("a label twice");
      take('"');
    }
    take('}');
  }

  /// One text for one number, since readers compare it as text.
  void check_canonical(const std::string& bound) const {
    if (bound == "+Inf") return;
    const double value = number(bound);
    std::string expected;
    for (int digits = 1; digits <= 17; ++digits) {
      char text[64];
      std::snprintf(text, sizeof text, value < 1e6 ? "%.*g" : "%.*e", value < 1e6 ? digits : digits - 1, value);
      expected = text;
      if (std::strtod(text, nullptr) == value) break;
    }
    if (value < 1e6) {
      char text[64];
      std::snprintf(text, sizeof text, "%.17g", value);  // no exponent below a million
      if (expected.find('e') != std::string::npos) expected = text;
      if (expected.find('.') == std::string::npos) expected += ".0";
    }
    if (bound != expected) fail("`le` is not canonical, but for " + expected);
  }

  /// Buckets are cumulative, in ascending order, and end with all of them.
  void check(const std::string& name, const Family& family) {
    if (family.type != "histogram") return;
    std::map<std::map<std::string, std::string>, std::vector<Sample>> series;
    for (const Sample& sample : family.samples) {
      auto labels = sample.labels;
      labels.erase("le");
      series[labels].push_back(sample);
    }
    line_ = name;
    for (const auto& [labels, samples] : series) {
      double before = -1, count = 0;
      bool whole = false;
      for (const Sample& sample : samples) {
        if (sample.name == name + "_bucket") {
          const std::string& le = sample.labels.at("le");
          const double bound = le == "+Inf" ? HUGE_VAL : number(le);
          if (bound <= before || sample.value < count || whole) fail("buckets do not ascend");
          before = bound;
          count = sample.value;
          whole = le == "+Inf";
        } else if (sample.name == name + "_count" && sample.value != count) {
          fail("the count is not that of the last bucket");
        }
      }
      if (!whole) fail("there is no bucket for all");
    }
  }

  std::string read_name() {
    const std::size_t start = i_;
    const auto fits = [this](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9' && i_ > 0);
    };
    while (i_ < line_.size() && fits(line_[i_])) ++i_;
    if (i_ == start) fail("a name is missing");
    return line_.substr(start, i_ - start);
  }
  double number(const std::string& text) const {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') fail("this is no number: " + text);
    return value;
  }
  std::string unescaped(const std::string& text, char quote) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == quote && quote != '\0') fail("a quote stands bare");
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      if (++i == text.size() || (text[i] != 'n' && text[i] != '\\' && text[i] != '"')) fail("there is no such escape");
      out += text[i] == 'n' ? '\n' : text[i];
    }
    return out;
  }
  char peek() const {
    if (i_ >= line_.size()) fail("the line is cut short");
    return line_[i_];
  }
  void take(char c) {
    if (peek() != c) fail(std::string("expected ") + c);
    ++i_;
  }

  const std::string text_;
  std::string line_, current_;
  std::size_t at_ = 0, i_ = 0;
  bool ended_ = false;
  std::set<std::string> seen_;
};

}  // namespace gatehouse
