#include <gatehouse/net/client_options.hpp>

#include "tests/unit/sdk/net/client_calls.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace gatehouse {
namespace {

using test::sentence_of;
using testing::HasSubstr;

struct Reading {
  ClientOptions options;
  std::vector<std::string_view> others;
};
Reading read(const std::vector<std::string_view>& words) {
  Reading out;
  for (std::size_t i = 0; i < words.size();) {
    if (!take_client_word(out.options, words, i)) out.others.push_back(words[i++]);
  }
  return out;
}

TEST(ClientOptions, AreReadFromAmongOtherWords) {
  const Reading got = read({"gate.example:443", "--tls",     "--ca",      "a.pem",        "--dns",
                            "x.test",           "--cert",    "c.pem",     "--key",        "k.pem",
                            "--server-name",    "n.example", "--min-tls", "1.2",          "--http",
                            "--websocket",      "--path",    "/gate",     "--token-file", "t"});
  EXPECT_EQ(got.others, (std::vector<std::string_view>{"gate.example:443", "--dns", "x.test"}));
  EXPECT_TRUE(got.options.tls && got.options.http && got.options.web_socket && got.options.has_opening());
  EXPECT_EQ(got.options.ca, "a.pem");
  EXPECT_EQ(got.options.cert, "c.pem");
  EXPECT_EQ(got.options.key, "k.pem");
  EXPECT_EQ(got.options.server_name, "n.example");
  EXPECT_EQ(got.options.least_tls, "1.2");
  EXPECT_EQ(got.options.path, "/gate");
  EXPECT_EQ(got.options.token_file, "t");
  EXPECT_EQ(sentence_of([] { read({"--tls", "--ca"}); }), "--ca needs a value");
  EXPECT_EQ(sentence_of([] { read({"--ca", ""}); }), "--ca needs a value");
}

TEST(ClientOptions, AreReadFromAProbesWords) {
  ClientOptions out;
  std::vector<std::string> own;
  const auto take_own = [&own](std::string_view word, std::string_view value) {
    if (word == "--strange") return false;
    own.push_back(std::string(word) + ' ' + std::string(value));
    return true;
  };
  const auto read_words = [&](std::vector<std::string_view> words) {
    out = {};
    return sentence_of([&] { read_probe_words(out, words, take_own); });
  };
  EXPECT_EQ(read_words({"--count", "7", "--tls", "gate.example:443", "--ca", "a.pem", "--to", "--dns"}), "");
  EXPECT_EQ(out.address, "gate.example:443");
  EXPECT_TRUE(out.tls);
  EXPECT_EQ(out.ca, "a.pem");
  EXPECT_EQ(own, (std::vector<std::string>{"--count 7", "--to --dns"})) << "a value may look like an option";
  EXPECT_EQ(read_words({"a:1", "b:2"}), "`b:2` is one word too many");
  EXPECT_EQ(read_words({"a:1", "--count"}), "--count needs a value");
  EXPECT_EQ(read_words({"--strange", "x", "a:1"}), "`--strange` is no option of this probe");
  EXPECT_EQ(read_words({}), "");
  EXPECT_EQ(out.address, "");
}

TEST(ClientOptions, NumbersAreWholeAndBounded) {
  EXPECT_EQ(read_number("--count", "1", 1, 100), 1u);
  EXPECT_EQ(read_number("--count", "100", 1, 100), 100u);
  for (const char* const text : {"", "0", "101", "-1", "1x", "x", " 1", "1.5", "99999999999"})
    EXPECT_EQ(sentence_of([&] { static_cast<void>(read_number("--count", text, 1, 100)); }),
              "--count takes a number from 1 to 100")
        << text;
}

TEST(ClientOptions, AreInTheUsageOfAProbe) {
  static constexpr auto kUsage = with_client_usage("HOST:PORT");
  EXPECT_EQ(std::string(kUsage.data()), std::string("HOST:PORT ") + kClientUsage);
  for (const char* const word : {"--tls", "--ca", "--cert", "--key", "--server-name", "--min-tls", "--http",
                                 "--websocket", "--path", "--token-file"})
    EXPECT_THAT(kClientUsage, HasSubstr(word));
}

TEST(ClientOptions, BelongTogether) {
  const auto judge = [](std::vector<std::string_view> words, const char* address = "gate.example:443") {
    ClientOptions options = read(words).options;
    options.address = address;
    return sentence_of([&] { check_client_options(options); });
  };
  EXPECT_EQ(judge({}), "");
  EXPECT_EQ(judge({"--tls", "--ca", "a", "--cert", "b", "--key", "c", "--server-name", "d", "--min-tls", "1.2"}), "");
  EXPECT_EQ(judge({"--websocket", "--token-file", "t", "--server-name", "n"}), "");
  EXPECT_EQ(judge({"--tls", "--server-name", "n"}, "unix:/x"), "");
  EXPECT_EQ(judge({"--ca", "a"}), "--ca needs --tls");
  EXPECT_EQ(judge({"--cert", "a", "--key", "b"}), "--cert needs --tls");
  EXPECT_EQ(judge({"--tls", "--cert", "a"}), "--cert needs the certificate's --key");
  EXPECT_EQ(judge({"--tls", "--key", "a"}), "--key needs the --cert that it belongs to");
  EXPECT_EQ(judge({"--min-tls", "1.2"}), "--min-tls needs --tls");
  EXPECT_EQ(judge({"--tls", "--min-tls", "1.1"}), "--min-tls takes 1.2 or 1.3");
  EXPECT_EQ(judge({"--server-name", "n"}), "--server-name needs --tls, --http or --websocket");
  EXPECT_EQ(judge({"--http", "--path", "/gate"}), "");
  EXPECT_EQ(judge({"--path", "/gate"}), "--path needs --http or --websocket");
  for (const char* const path : {"/", "gate", "gate/", "/gate/", "//"})
    EXPECT_THAT(judge({"--http", "--path", path}), HasSubstr("--path takes / and the name")) << path;
  EXPECT_EQ(judge({"--tls", "--token-file", "t"}),
            "--token-file needs --http or --websocket, which have a place for the token");
  EXPECT_THAT(judge({"--tls"}, "unix:/x"), HasSubstr("--tls over a Unix socket needs --server-name"));
  EXPECT_EQ(judge({"--http", "--websocket"}), "give either --http or --websocket, which is over HTTP, too");
}

TEST(ClientAddress, IsAHostWithAPortOrAPath) {
  const ClientAddress name = ClientAddress::parse("gate.example:7300");
  EXPECT_EQ(name.host, "gate.example");
  EXPECT_EQ(name.port, "7300");
  const ClientAddress v6 = ClientAddress::parse("[2001:db8::1%eth0]:443");
  EXPECT_EQ(v6.host, "2001:db8::1%eth0");
  EXPECT_EQ(v6.port, "443");
  EXPECT_EQ(ClientAddress::parse("unix:/run/a:b").path, "/run/a:b");
  const auto wrong = [](const std::string& address) {
    return sentence_of([&] { static_cast<void>(ClientAddress::parse(address)); });
  };
  EXPECT_EQ(wrong(""), "`` has no port");
  EXPECT_EQ(wrong("nowhere"), "`nowhere` has no port");
  EXPECT_EQ(wrong("nowhere:"), "`nowhere:` has no port");
  EXPECT_EQ(wrong(":7300"), "`:7300` has no host");
  EXPECT_THAT(wrong("2001:db8::1"), HasSubstr("is written [2001:db8::1]:7300"));
  EXPECT_EQ(wrong("unix:"), "`unix:` needs a path behind it");
  EXPECT_EQ(wrong("unix:/" + std::string(120, 'x')), "the path of the socket is too long");
}

class TokenFile : public testing::Test {
 protected:
  TokenFile() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~TokenFile() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path write(const std::string& text, mode_t mode = 0600) {
    const std::filesystem::path out = folder_ / "token";
    std::ofstream(out) << text;
    EXPECT_EQ(::chmod(out.c_str(), mode), 0);
    return out;
  }
  std::filesystem::path folder_;
};

TEST_F(TokenFile, HoldsTheTokenInItsFirstLine) {
  EXPECT_EQ(read_token_file(write("secret")), "secret");
  EXPECT_EQ(read_token_file(write("secret \r\nof bob\n")), "secret");
  const std::string line(3000, 'x');
  EXPECT_EQ(read_token_file(write(line + "\nmore")), line);
}

TEST_F(TokenFile, IsRefusedWhereItHasNone) {
  const auto wrong = [](const std::filesystem::path& file) {
    return sentence_of([&] { static_cast<void>(read_token_file(file)); });
  };
  EXPECT_THAT(wrong(folder_ / "none"), HasSubstr("none cannot be read: No such file or directory"));
  EXPECT_THAT(wrong(folder_), HasSubstr("is a folder; name the file"));
  EXPECT_THAT(wrong(write("\nsecret\n")), HasSubstr("is empty; a token is what `token new` printed"));
  EXPECT_THAT(wrong(write(std::string(1 << 20, 'x'))), HasSubstr("is too long"));
}

TEST_F(TokenFile, IsRefusedWhereOthersCanReadIt) {
  for (const mode_t mode : {0604u, 0640u, 0622u}) {
    const std::filesystem::path file = write("s3cr3t", mode);
    EXPECT_THAT(sentence_of([&] { static_cast<void>(read_token_file(file)); }),
                testing::AllOf(HasSubstr("others can use"), HasSubstr("`chmod 600` it"), Not(HasSubstr("s3cr3t"))));
  }
}

}  // namespace
}  // namespace gatehouse
