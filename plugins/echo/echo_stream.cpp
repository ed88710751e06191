#include "plugins/echo/echo_stream.hpp"

namespace gatehouse::echo {

bool EchoStream::flush() {
  while (begin_ < end_) {
    const auto written = stream_.write(Bytes(held_).subspan(begin_, end_ - begin_));
    if (!written) return written.error() == Errc::would_block;
    begin_ += *written;
    session_.count_down(0, *written);  // a stream has bytes, and no datagrams
  }
  begin_ = end_ = 0;
  return true;
}

void EchoStream::on_ready(std::uint32_t) {
  last_active = loop_.now();
  if (!flush()) return owner_.stream_ended(*this);
  if (end_ == 0 && !peer_done_) {
    const auto read = stream_.read(held_);
    if (read) {
      end_ = *read;
      session_.count_up(0, *read);
      if (!flush()) return owner_.stream_ended(*this);
    } else if (read.error() == Errc::closed) {
      peer_done_ = true;
    } else if (read.error() != Errc::would_block) {
      return owner_.stream_ended(*this);
    }
  }
  if (end_ == 0 && peer_done_) {
    if (!stream_.has_unsent()) return owner_.stream_ended(*this);
    return stream_.watch_for(false, true);  // until TLS has sent the last of it
  }
  stream_.watch_for(end_ == 0, end_ != 0);
}

}  // namespace gatehouse::echo
