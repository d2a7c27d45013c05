// SPDX-License-Identifier: BSD-3-Clause
// The client library's end of the control socket under a node that says anything. The input:
//   calls (1)               what the client does, bit by bit
//   ring (1)                0: no descriptor comes; else tail (8), length (2), what stands in the
//   ring attach (2)              at which byte of what follows the descriptor comes all else what
//   the node says
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "console/unix/address.hpp"
#include "console/unix/client.hpp"
#include "console/unix/shared_ring.hpp"
#include "fuzz.hpp"

namespace {

using namespace chaincast;

constexpr unsigned events_max = 64;

// A socket to be connected with, for all runs.
class Listener {
 public:
  Listener() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ccfXXXXXX").string();
    CC_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    const auto address = console::socket_address(path());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CC_ASSERT(address.ok() && fd_ >= 0);
    CC_ASSERT(::bind(fd_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
    CC_ASSERT(::listen(fd_, 4) == 0);
  }
  ~Listener() {
    ::close(fd_);
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/s"; }
  int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  std::string directory_;
  int fd_ = -1;
};

struct Script {
  explicit Script(ByteSpan input) : in(input) {
    calls = in.u8();
    if (in.u8() != 0) {
      static auto made = console::SharedRing::create(local::ring_bytes_min);
      CC_ASSERT(made.ok());
      ring = &*made;
      ring->control().head.store(0);
      ring->control().tail.store(in.be64());
      const ByteSpan bytes = in.bytes(std::min<size_t>(in.be16(), in.left()));
      std::copy(bytes.begin(), bytes.end(), ring->data());
      ring->control().magic = local::ring_magic;
      ring->control().data_bytes = local::ring_bytes_min;
    }
    attach = in.be16();
    says = in.bytes(in.left());
  }

  ByteReader in;
  uint8_t calls = 0;
  console::SharedRing* ring = nullptr;
  size_t attach = 0;
  ByteSpan says;
};

void send_part(int fd, ByteSpan bytes, int descriptor) {
  if (bytes.empty()) return;
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  [[maybe_unused]] const ssize_t sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Everything at once, then the end: so no call waits.
void speak(int fd, const Script& script) {
  const size_t at = std::min(script.attach, script.says.size());
  send_part(fd, script.says.first(at), -1);
  send_part(fd, script.says.subspan(at), script.ring != nullptr ? script.ring->fd() : -1);
  ::shutdown(fd, SHUT_WR);
}

void call(console::Client& client, uint8_t calls) {
  if ((calls & 1) != 0) [[maybe_unused]]
    const auto ignored = client.subscribe_ring("s");
  if ((calls & 2) != 0) [[maybe_unused]]
    const auto ignored = client.subscribe("s");
  if ((calls & 4) != 0) [[maybe_unused]]
    const auto ignored = client.command("show", true);
  if ((calls & 8) != 0) [[maybe_unused]]
    const auto ignored = client.stream("s");
  if ((calls & 16) != 0) [[maybe_unused]]
    const auto ignored = client.publish("s", as_bytes("object"));
  if ((calls & 32) != 0) [[maybe_unused]]
    const auto ignored = client.complete("sh");
  for (unsigned i = 0; i < events_max; ++i) {
    client.has_event();
    const auto event = client.next_event(0);
    if (!event) return;
    volatile uint8_t sum = 0;
    for (const uint8_t byte : event->object) sum = static_cast<uint8_t>(sum + byte);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Listener listener;
  const Script script({data, size});
  auto client = console::Client::connect(listener.path());
  CC_ASSERT(client.ok());
  const int fd = listener.accept();
  CC_ASSERT(fd >= 0);
  speak(fd, script);
  call(*client, script.calls);
  ::close(fd);
  return 0;
}
