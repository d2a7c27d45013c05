// SPDX-License-Identifier: BSD-3-Clause
#include <iostream>

#include "messaging/messaging.hpp"

// One sender, or the receivers, of one contestant:
//
//   bench_messaging send|receive chaincast|mmsg|segment|zmq|nats JOB
//
// with JOB as JSON: {"fanout": 8, "payload_bytes": 1400, "port": 7100, "ms": 400, "cpu": 1,
// "device": ""}. Receivers say {"ready": true} first; a line of results is the last one.
namespace {

using chaincast::bench::messaging::Job;
using chaincast::bench::messaging::Json;
namespace messaging = chaincast::bench::messaging;

Json run(const std::string& what, const std::string& who, const Job& job) {
  if (what == "send") {
    if (who == "chaincast") return messaging::send_chaincast(job);
    if (who == "mmsg") return messaging::send_datagrams(job, false);
    if (who == "segment") return messaging::send_datagrams(job, true);
    if (who == "zmq") return messaging::send_zmq(job);
    if (who == "nats") return messaging::send_nats(job);
  } else if (what == "receive") {
    if (who == "zmq") return messaging::receive_zmq(job);
    if (who == "nats") return messaging::receive_nats(job);
    return messaging::receive_datagrams(job);
  }
  throw std::invalid_argument("no '" + what + " " + who + "'");
}

}  // namespace

int main(int count, char** words) {
  try {
    if (count != 4) throw std::invalid_argument("send|receive WHO JOB");
    const Json text = Json::parse(words[3]);
    Job job;
    job.fanout = text.value("fanout", job.fanout);
    job.payload_bytes = text.value("payload_bytes", job.payload_bytes);
    job.port = text.value("port", job.port);
    job.ms = text.value("ms", job.ms);
    job.cpu = text.value("cpu", job.cpu);
    job.device = text.value("device", job.device);
    std::cout << run(words[1], words[2], job) << std::endl;
    return 0;
  } catch (const std::exception& wrong) {
    std::cerr << "bench_messaging: " << wrong.what() << "\n";
    return 2;
  }
}
