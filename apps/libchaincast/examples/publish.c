/* SPDX-License-Identifier: BSD-3-Clause */
/* publish SOCKET STREAM: each line of standard input as one object, 64 of them under way. */
#include <chaincast.h>
#include <stdio.h>
#include <string.h>

#define UNDER_WAY 64

static int complain(const chaincast_connection *connection, int code)
{
  const char *text = chaincast_error(connection);
  fprintf(stderr, "publish: %s\n", *text != '\0' ? text : chaincast_code_name(code));
  return 1;
}

int main(int argc, char **argv)
{
  chaincast_connection *connection;
  char error[CHAINCAST_ERROR_BYTES];
  char line[4096];
  unsigned long published = 0;
  int code;

  if (argc != 3) {
    fprintf(stderr, "usage: publish SOCKET STREAM\n");
    return 2;
  }
  code = chaincast_open(argv[1], &connection, error, sizeof error);
  if (code != CHAINCAST_OK) {
    fprintf(stderr, "publish: %s\n", error);
    return 1;
  }
  while (code == CHAINCAST_OK && fgets(line, sizeof line, stdin) != NULL) {
    if (chaincast_pending(connection) == UNDER_WAY) {
      code = chaincast_take_receipt(connection, NULL, CHAINCAST_FOREVER);
      if (code != CHAINCAST_OK) break;
      published++;
    }
    code = chaincast_submit(connection, argv[2], line, strcspn(line, "\n"), CHAINCAST_FOREVER);
  }
  while (code == CHAINCAST_OK && chaincast_pending(connection) > 0) {
    code = chaincast_take_receipt(connection, NULL, CHAINCAST_FOREVER);
    if (code == CHAINCAST_OK) published++;
  }
  if (code != CHAINCAST_OK) complain(connection, code);
  chaincast_close(connection);
  printf("published %lu objects\n", published);
  return code == CHAINCAST_OK ? 0 : 1;
}
