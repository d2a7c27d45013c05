// SPDX-License-Identifier: BSD-3-Clause
#include "console/terminal/reader.hpp"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "cli/session.hpp"
#include "cli/watch.hpp"
#include "console/terminal/past.hpp"
#include "console/terminal/watch.hpp"

namespace chaincast::console {

namespace {

// True if input is there, false if the thread shall end.
bool wait_for_input(int input_fd, int stop_fd) {
  for (;;) {
    pollfd fds[] = {{stop_fd, POLLIN, 0}, {input_fd, POLLIN, 0}};
    const int ready = ::poll(fds, 2, -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || fds[0].revents != 0) return false;
    if (fds[1].revents != 0) return true;
  }
}

std::string reply_to(Handover& handover, const std::string& line) {
  std::string out;
  for (const std::string& text : handover.ask(Handover::Kind::run, line)) out += text;
  return out;
}

void run_line(const TerminalOptions& options, Handover& handover, const std::string& line) {
  print(options.output_fd, reply_to(handover, line));
}

// Without a terminal: lines as they come, the last one with or without its newline.
void read_plain(const TerminalOptions& options, Handover& handover, int stop_fd) {
  std::string line;
  bool too_long = false;
  const auto finish = [&] {
    if (too_long) print(options.output_fd, "error: command line longer than 65536 bytes\n");
    if (!too_long) run_line(options, handover, line);
    line.clear();
    too_long = false;
  };
  while (wait_for_input(options.input_fd, stop_fd)) {
    char chunk[4096];
    const ssize_t got = ::read(options.input_fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (!line.empty()) finish();
      run_line(options, handover, options.end_line);
      return;
    }
    for (const char c : std::string_view(chunk, static_cast<size_t>(got))) {
      if (c == '\n') {
        finish();
      } else if (line.size() < cli::line_bytes_max) {
        line += c;
      } else {
        too_long = true;
      }
    }
  }
}

struct Editor {
  const TerminalOptions& options;
  Handover& handover;
  int stop_fd;
  EditLine* edit = nullptr;
  bool stopped = false;

  static Editor& of(EditLine* edit) {
    void* data = nullptr;
    el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<Editor*>(data);
  }
};

// libedit blocks in read(); this waits for the stop signal as well.
int read_character(EditLine* edit, wchar_t* out) {
  Editor& editor = Editor::of(edit);
  if (!wait_for_input(editor.options.input_fd, editor.stop_fd)) {
    editor.stopped = true;
    return 0;
  }
  unsigned char byte = 0;
  const ssize_t got = ::read(editor.options.input_fd, &byte, 1);
  *out = static_cast<wchar_t>(byte);
  return got == 1 ? 1 : 0;
}

char* prompt_of(EditLine* edit) {
  return const_cast<char*>(Editor::of(edit).options.prompt.c_str());
}

unsigned char complete(EditLine* edit, int) {
  Editor& editor = Editor::of(edit);
  const LineInfo* info = el_line(edit);
  const std::string line(info->buffer, info->cursor);
  const auto candidates = editor.handover.ask(Handover::Kind::complete, line);
  const std::string text = completion_text(line, candidates);
  if (!text.empty()) return el_insertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  if (candidates.size() < 2) return CC_ERROR;
  std::string listing = "\n";
  for (const std::string& candidate : candidates) listing += candidate + "  ";
  print(editor.options.output_fd, listing + "\n");
  return CC_REDISPLAY;
}

void read_edited(Editor& editor, History* past) {
  HistEvent event;
  for (;;) {
    int count = 0;
    const char* text = el_gets(editor.edit, &count);
    if (editor.stopped) return;
    if (text == nullptr || count <= 0) {
      print(editor.options.output_fd, "\n");
      return run_line(editor.options, editor.handover, editor.options.end_line);
    }
    std::string line(text, static_cast<size_t>(count));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    ::history(past, &event, H_ENTER, line.c_str());
    if (const auto watch = cli::parse_watch(line)) {
      repeat(*watch, {editor.options.input_fd, editor.options.output_fd, editor.stop_fd},
             [&] { return reply_to(editor.handover, watch->command); });
    } else {
      run_line(editor.options, editor.handover, line);
    }
  }
}

}  // namespace

std::string completion_text(std::string_view line, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return {};
  std::string common = candidates.front();
  for (const std::string& candidate : candidates) {
    const auto [stop, other] =
        std::mismatch(common.begin(), common.end(), candidate.begin(), candidate.end());
    common.erase(stop, common.end());
  }
  // npos + 1 is 0: a line of one word.
  const std::string_view word = line.substr(line.find_last_of(" \t") + 1);
  if (!std::string_view(common).starts_with(word)) return {};
  std::string out = common.substr(word.size());
  if (candidates.size() == 1) out += ' ';
  return out;
}

void read_lines(const TerminalOptions& options, Handover& handover, int stop_fd) {
  if (::isatty(options.input_fd) == 0) return read_plain(options, handover, stop_fd);
  // Streams of our own, so that closing them leaves the process's alone.
  using Stream = std::unique_ptr<FILE, int (*)(FILE*)>;
  const Stream in(::fdopen(::dup(options.input_fd), "r"), &std::fclose);
  const Stream out(::fdopen(::dup(options.output_fd), "w"), &std::fclose);
  if (!in || !out) return read_plain(options, handover, stop_fd);
  Editor editor{options, handover, stop_fd};
  const std::unique_ptr<EditLine, void (*)(EditLine*)> edit(
      el_init("chaincast", in.get(), out.get(), out.get()), &el_end);
  const std::unique_ptr<History, void (*)(History*)> past(history_init(), &history_end);
  if (!edit || !past) return read_plain(options, handover, stop_fd);
  editor.edit = edit.get();
  HistEvent event;
  history(past.get(), &event, H_SETSIZE, static_cast<int>(options.history_lines_max));
  history(past.get(), &event, H_SETUNIQUE, 1);
  el_set(edit.get(), EL_CLIENTDATA, &editor);
  el_set(edit.get(), EL_PROMPT, &prompt_of);
  el_set(edit.get(), EL_EDITOR, "emacs");
  el_set(edit.get(), EL_HIST, history, past.get());
  el_set(edit.get(), EL_GETCFN, &read_character);
  el_set(edit.get(), EL_ADDFN, "complete", "complete a word", &complete);
  el_set(edit.get(), EL_BIND, "^I", "complete", nullptr);
  if (!options.history_file.empty()) load_past(past.get(), options.history_file);
  read_edited(editor, past.get());
  if (!options.history_file.empty()) save_past(past.get(), options.history_file);
}

}  // namespace chaincast::console
