// Each asks `switchyard __complete WORD...`, which answers a candidate a line, then `:DIRECTIVE` (0: files too).

const BASH = String.raw`# bash completion of switchyard
__switchyard_complete() {
  local answer directive line candidates=()
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  answer=$("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null) || return
  directive=\${answer##*$'\n'}
  COMPREPLY=()
  if [[ $directive == ":0" ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
    return
  fi
  while IFS= read -r line; do
    [[ $line == :* || -z $line ]] || candidates+=("\${line%%$'\t'*}")
  done <<<"$answer"
  COMPREPLY=("\${candidates[@]}")
}
complete -F __switchyard_complete switchyard
`;

const ZSH = String.raw`#compdef switchyard
# zsh completion of switchyard
_switchyard() {
  local -a answer candidates
  local line directive
  answer=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  directive=\${answer[-1]}
  if [[ $directive == ":0" ]]; then
    _files
    return
  fi
  for line in "\${(@)answer[1,-2]}"; do
    [[ -z $line ]] || candidates+=("\${\${line%%$'\t'*}//:/\\:}:\${line#*$'\t'}")
  done
  _describe 'switchyard' candidates
}
compdef _switchyard switchyard
`;

const FISH = String.raw`# fish completion of switchyard
function __switchyard_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l answer ($words[1] __complete -- $words[2..-1] 2>/dev/null)
  if test "$answer[-1]" = ':0'
    __fish_complete_path (commandline -ct)
    return
  end
  for line in $answer[1..-2]
    echo $line
  end
end
complete -c switchyard -f -a '(__switchyard_complete)'
`;

export function scriptFor(shell: 'bash' | 'zsh' | 'fish'): string {
  // String.raw keeps the backslash that hides a shell's \${} from TypeScript.
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell].replaceAll('\\${', '${');
}
