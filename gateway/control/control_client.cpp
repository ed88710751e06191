#include "gateway/control/control_client.hpp"

#include <gatehouse/base/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace gatehouse {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Protocol = asio::local::stream_protocol;

constexpr std::uint64_t kLargestReply = 256 * 1024 * 1024;  // a list of very many sessions

bool means_nobody(const Error& error) {
  return error == boost::system::errc::no_such_file_or_directory || error == boost::system::errc::connection_refused;
}

[[noreturn]] void fail(const std::filesystem::path& socket, const Error& error) {
  const std::string name = socket.string();
  if (means_nobody(error)) {
    throw NoGateway("the gateway is not running (nobody listens on " + name + ")");
  }
  if (error == boost::system::errc::permission_denied) {
    throw NoGateway("no permission to open " + name + "; become root or a member of the group that owns it");
  }
  if (error == beast::error::timeout) throw NoGateway("the gateway did not answer in time on " + name);
  throw NoGateway("the gateway cannot be asked on " + name + " (" + error.message() + ")");
}

/// One request and its reply; `error` is the last operation's.
class Exchange {
 public:
  explicit Exchange(std::chrono::milliseconds time) : stream_(io_) { stream_.expires_after(time); }

  Error connect(const Protocol::endpoint& to) {
    stream_.async_connect(to, [this](const Error& error) { error_ = error; });
    return run();
  }
  Error write(http::request<http::string_body>& request) {
    http::async_write(stream_, request, [this](const Error& error, std::size_t) { error_ = error; });
    return run();
  }
  Error read(http::response_parser<http::string_body>& parser) {
    http::async_read(stream_, buffer_, parser, [this](const Error& error, std::size_t) { error_ = error; });
    return run();
  }

 private:
  Error run() {
    io_.restart();
    io_.run();
    return error_;
  }

  asio::io_context io_;
  beast::basic_stream<Protocol> stream_;
  beast::flat_buffer buffer_;
  Error error_;
};

}  // namespace

bool somebody_listens(const std::filesystem::path& socket) {
  asio::io_context io;
  Protocol::socket one(io);
  Error error;
  one.connect(Protocol::endpoint(socket.string()), error);
  return !means_nobody(error);
}

ControlReply control_request(const std::filesystem::path& socket, const std::string& verb, Access access,
                             const std::string& json, std::chrono::milliseconds time) {
  const bool post = access == Access::write || !json.empty();
  http::request<http::string_body> request{post ? http::verb::post : http::verb::get, "/v1/" + verb, 11};
  request.set(http::field::host, "gatehouse");
  request.keep_alive(false);
  if (post) request.set(http::field::content_type, "application/json");
  request.body() = json;
  request.prepare_payload();

  Exchange exchange(time);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLargestReply);
  Error error = exchange.connect(Protocol::endpoint(socket.string()));
  if (!error) error = exchange.write(request);
  if (!error) error = exchange.read(parser);
  if (error) fail(socket, error);
  ControlReply out{parser.get().result_int(), std::move(parser.get().body())};
  while (!out.json.empty() && out.json.back() == '\n') out.json.pop_back();
  return out;
}

}  // namespace gatehouse
