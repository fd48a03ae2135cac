import { firstWords, type Completable, type Words } from './completion-words.ts';

/** The script for `source <(godwit completion zsh)`, after compinit. */
export function zshScript(
  verbs: readonly Completable[],
  groups: ReadonlyMap<string, readonly string[]>,
): string {
  const top = firstWords(verbs, groups);
  return `#compdef godwit
# zsh completion of godwit; made by \`godwit completion zsh\`
_godwit_names() {
  local -a names
  names=(\${(f)"$("\${words_at_start[1]}" completion --names "$1" 2>/dev/null)"})
  compadd -a names
}
_godwit() {
  local -a words_at_start
  words_at_start=("\${words[@]}")
  if ((CURRENT == 2)); then
    compadd ${top.join(' ')}
    return
  fi
  local verb=\${words[2]}
  shift words
  ((CURRENT--))
${[...groups].map(groupPart).join('')}  case "$verb" in
    help) compadd ${top.join(' ')} ;;
${verbs.map(verbPart).join('\n')}
  esac
}
# As a file of fpath it is this function itself, called for the first time.
if [[ "\${funcstack[1]}" == _godwit ]]; then _godwit "$@"; else compdef _godwit godwit ./godwit; fi
`;
}

function groupPart([name, members]: [string, readonly string[]]): string {
  return `  if [[ $verb == ${name} ]]; then
    if ((CURRENT == 2)); then
      compadd ${members.join(' ') || "''"}
      return
    fi
    verb="${name} \${words[2]}"
    shift words
    ((CURRENT--))
  fi
`;
}

function verbPart({ path, flags, args }: Completable): string {
  const parts = flags.map(({ name, summary, value, repeatable }) => {
    const shown = repeatable === true ? `*${name}` : name;
    const text = summary.replaceAll(/[[\]:']/g, ' ').trim();
    return value === undefined ? `'${shown}[${text}]'` : `'${shown}[${text}]: :${action(value)}'`;
  });
  const words = args.map((each, index) => `'${index + 1}: :${action(each)}'`);
  return `    '${path}') _arguments ${[...parts, ...words].join(' ')} ;;`;
}

function action(words: Words): string {
  switch (words.kind) {
    case 'list':
      return `(${words.words.join(' ')})`;
    case 'names':
      return `_godwit_names ${words.of}`;
    case 'files':
      return '_files';
    case 'nothing':
      return ' ';
  }
}
