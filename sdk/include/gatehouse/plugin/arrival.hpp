// A client whose stream has begun as its listener wants it: the frontend lets it in, or refuses it.
#pragma once

#include <gatehouse/net/http_opening.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/plugin/host.hpp>

#include <memory>
#include <optional>
#include <string>

namespace gatehouse {

/// May be kept, and answered in a later turn: nothing is read meanwhile, and no deadline runs. Whoever destroys it has
/// closed the stream. One lane's at a time: it may be moved to another one, whose StreamListeners adopt() it. Not
/// thread-safe.
class Arrival {
 public:
  /// What an HTTP opening came to; for StreamListeners.
  struct Http {
    HttpRequest request;  ///< as it came
    std::string plugin;   ///< whose name an answer has
  };
  /// @param layer  null: the stream's bytes are the socket's  @param surplus  what was read behind the opening
  Arrival(std::shared_ptr<const Listener> listener, UniqueFd socket, StreamPeer peer,
          std::unique_ptr<StreamLayer> layer, std::optional<Http> http, Bytes surplus, std::string identity);
  Arrival(Arrival&&) noexcept = default;
  Arrival& operator=(Arrival&&) noexcept = default;

  [[nodiscard]] const Listener& listener() const noexcept { return *listener_; }
  [[nodiscard]] const StreamPeer& peer() const noexcept { return peer_; }
  /// "token:bob"; "" = anonymous, which the listener allows.
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }

  /// What the client says in its HTTP opening under that name, as find_field(); none where there was no opening.
  [[nodiscard]] std::optional<std::string> field(std::string_view name) const;

  /// Lets the client in: an HTTP opening is answered by 101, with these fields. Once. @throws std::bad_alloc
  [[nodiscard]] Stream accept(std::span<const HttpField> fields = {});
  /// Closes the stream: an HTTP opening is answered as it says first, other clients are told nothing.
  void refuse(const HttpRefusal& why);

 private:
  friend class StreamListeners;
  void answer(const std::string& text);

  std::shared_ptr<const Listener> listener_;
  UniqueFd socket_;
  StreamPeer peer_;
  std::unique_ptr<StreamLayer> layer_;
  std::optional<Http> http_;
  std::vector<std::byte> surplus_;
  std::string identity_;
};

}  // namespace gatehouse
