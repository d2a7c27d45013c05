# SPDX-License-Identifier: BSD-3-Clause
# bash completion of chaincastctl: the node that would get the command is asked what may follow.
_chaincastctl() {
  local word=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  local connection=() line=''
  COMPREPLY=()
  while [ ${#words[@]} -gt 0 ] && [[ ${words[0]} == -* ]]; do
    if [ "${words[0]}" = --socket ]; then
      [ ${#words[@]} -gt 1 ] || { mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; }
      connection=(--socket "${words[1]}")
      words=("${words[@]:2}")
    else
      words=("${words[@]:1}")
    fi
  done
  if [ ${#words[@]} -eq 0 ] && [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '--socket --json --interactive --help' -- "$word")
    return
  fi
  # Files of this side.
  if [ "${words[0]:-}" = publish ] && [ ${#words[@]} -ge 2 ]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  [ ${#words[@]} -eq 0 ] || line="${words[*]} "
  mapfile -t COMPREPLY < <(
    "${COMP_WORDS[0]}" "${connection[@]}" --complete "$line$word" 2>/dev/null)
}
complete -o nosort -F _chaincastctl chaincastctl
