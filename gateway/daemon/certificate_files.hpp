// The PEM files of one TlsConfig: read, and held against all that a handshake needs of them.
#pragma once

#include <gatehouse/base/file_stamp.hpp>

#include "gateway/config/config.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace gatehouse {

/// Texts that belong together. The key is wiped when it goes.
struct CertificateFiles {
  CertificateFiles() = default;
  ~CertificateFiles();
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  std::string chain, key, client_ca;
  std::int64_t not_before = 0, not_after = 0;  ///< Unix time: when all of the chain is valid
  std::string weakest;                         ///< whose not_after that is, for a sentence
};

/// The largest file that is read.
inline constexpr std::size_t kLargestPem = 1024 * 1024;

/// Reads the files into `out`, which is new. Each must be own (own_path.hpp) and the key unreadable to others than its
/// group; the chain goes from the leaf up, each issued by the next; the key is the leaf's; OpenSSL takes both. Times
/// are not looked at. Blocks for as long as reading takes.
/// @throws Refusal that names the file, and says what to do
void read_certificate_files(const TlsConfig& config, CertificateFiles& out);

/// Is the chain valid at `now`, in Unix time?
/// @return "" or a sentence that says since when it is not, or from when it will be
[[nodiscard]] std::string why_not_valid(const CertificateFiles& files, const TlsConfig& config, std::int64_t now);

/// Of certificate, key and client_ca as they are now; three system calls.
[[nodiscard]] std::array<FileStamp, 3> stamps_of(const TlsConfig& config) noexcept;

}  // namespace gatehouse
