// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/memif.hpp"

#include <gtest/gtest.h>
#include <rte_alarm.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "rcu/rcu.hpp"
#include "support/eal.hpp"

namespace chaincast::port::ethdev {
namespace {

TEST(Memif, KnowsWhichEndConnects) {
  EXPECT_TRUE(is_memif_client("net_memif0,role=client,id=0"));
  EXPECT_TRUE(is_memif_client("net_memif0"));  // the driver's default
  EXPECT_FALSE(is_memif_client("net_memif0,role=server,id=0"));
  EXPECT_FALSE(is_memif_client("net_ring0"));
}

// A socket that somebody listens on, as a server of another process would.
class Listener {
 public:
  explicit Listener(const std::string& name) {
    address_.sun_family = AF_UNIX;
    name.copy(address_.sun_path, sizeof address_.sun_path - 1);
    const size_t bytes = name.front() == '\0' ? name.size() : name.size() + 1;
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address_), size_), 0) << strerror(errno);
  }
  // A descriptor of its other end.
  int connect() const {
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address_), size_), 0);
    return fd;
  }
  ~Listener() { close(fd_); }
  void listen() { EXPECT_EQ(::listen(fd_, 1), 0); }
  bool accepts() const {
    int is_listener = 0;
    socklen_t size = sizeof is_listener;
    return getsockopt(fd_, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &size) == 0 && is_listener != 0;
  }

 private:
  sockaddr_un address_{};
  socklen_t size_ = 0;
  const int fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
};

std::string unused_path() {
  static int number = 0;
  return std::filesystem::temp_directory_path() /
         ("cc-memif-" + std::to_string(getpid()) + "-" + std::to_string(number++));
}

TEST(Memif, SeesAServerThatListens) {
  const std::string path = unused_path();
  const std::string device = "net_memif0,role=client,socket-abstract=no,socket=" + path;
  EXPECT_FALSE(has_memif_server(device));
  Listener listener(path);
  EXPECT_FALSE(has_memif_server(device));  // bound alone
  listener.listen();
  EXPECT_TRUE(has_memif_server(device));
  EXPECT_FALSE(has_memif_server("net_memif0,role=client,socket=" + path));  // abstract: another
  EXPECT_FALSE(has_memif_connection(device));
  const int client = listener.connect();
  EXPECT_TRUE(has_memif_connection(device));
  close(client);
  EXPECT_FALSE(has_memif_connection(device));
  std::filesystem::remove(path);
}

TEST(Memif, SeesAServerWithAnAbstractName) {
  const std::string path = unused_path();
  Listener listener(std::string(1, '\0') + path);
  listener.listen();
  // The driver writes the path behind the zero byte that makes a name abstract.
  EXPECT_TRUE(has_memif_server("net_memif0,role=client,socket=" + path));
  EXPECT_FALSE(has_memif_server("net_memif0,role=client,socket-abstract=no,socket=" + path));
}

TEST(Memif, EndsTheListenerOfItsLastDeviceOnly) {
  const std::string path = unused_path();
  Listener listener(path), other(path + "o");
  listener.listen();
  other.listen();
  const std::string device = "net_memif0,role=server,socket-abstract=no,socket=" + path;
  end_memif_listener(device, "net_ring0,\n" + device + "\n");
  EXPECT_TRUE(listener.accepts());
  end_memif_listener("net_memif0,role=client,socket-abstract=no,socket=" + path, "");
  EXPECT_TRUE(listener.accepts());
  end_memif_listener(device, "net_ring0,\n");
  EXPECT_FALSE(listener.accepts());
  EXPECT_TRUE(other.accepts());
  std::filesystem::remove(path);
  std::filesystem::remove(path + "o");
}

#ifndef __SANITIZE_THREAD__
struct Unmapping {
  void* page = nullptr;
  size_t bytes = 0;
  std::atomic<bool> has_begun{false};
  std::atomic<bool> is_done{false};
};

// On DPDK's interrupt thread.
void unmap(void* argument) {
  auto& job = *static_cast<Unmapping*>(argument);
  job.has_begun = true;
  munmap(job.page, job.bytes);
  job.is_done = true;
}

// A worker reads memory that the interrupt thread unmaps: until the end of its turn it may.
TEST(Memif, TheInterruptThreadUnmapsWhenWorkersHaveEndedTheirTurn) {
  chaincast::test::ensure_eal();
  Unmapping job;
  job.bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  job.page = mmap(nullptr, job.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(job.page, MAP_FAILED);
  std::thread worker([&] {
    rcu::Reader reader;
    ASSERT_EQ(rte_eal_alarm_set(1, unmap, &job), 0);
    while (!job.has_begun) std::this_thread::yield();
    const auto* byte = static_cast<const volatile unsigned char*>(job.page);
    unsigned sum = 0;
    for (unsigned i = 0; i < 1'000'000; ++i) sum += *byte;
    EXPECT_EQ(sum, 0u);
    EXPECT_FALSE(job.is_done);
    reader.quiescent();
    reader.offline();
    while (!job.is_done) std::this_thread::yield();
  });
  worker.join();
  EXPECT_TRUE(job.is_done);
}
#endif

}  // namespace
}  // namespace chaincast::port::ethdev
