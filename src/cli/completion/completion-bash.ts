import { firstWords, type Completable, type Words } from './completion-words.ts';

/** The script for `source <(godwit completion bash)`. Requires only bash 4.2. */
export function bashScript(
  verbs: readonly Completable[],
  groups: ReadonlyMap<string, readonly string[]>,
): string {
  const top = firstWords(verbs, groups);
  return `# bash completion of godwit; made by \`godwit completion bash\`
_godwit_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_godwit_names() { _godwit_words "$("\${COMP_WORDS[0]}" completion --names "$1" 2>/dev/null)"; }
_godwit_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
_godwit() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path='' word n=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $path in
      '') path=$word ;;
${[...groups.keys()].map((name) => `      ${name}) path="${name} $word" ;;`).join('\n')}
      *)
        case " $(_godwit_valued "$path") " in *" $word "*) ((i++)) ;; *) [[ $word == -* ]] || ((n++)) ;; esac ;;
    esac
  done
  case "$path $prev" in
${verbs.flatMap(valueCases).join('\n')}
  esac
  if [[ $cur == -* ]]; then _godwit_words "$(_godwit_flags "$path")"; return; fi
  case "$path" in
    '' | help) _godwit_words '${top.join(' ')}' ;;
${[...groups].map(([name, members]) => `    ${name}) _godwit_words '${members.join(' ')}' ;;`).join('\n')}
${verbs
  .filter(({ args }) => args.length > 0)
  .map(argumentCase)
  .join('\n')}
  esac
}
_godwit_flags() {
  case "$1" in
    '') echo '--help --version' ;;
${verbs.map(({ path, flags }) => `    '${path}') echo '${flags.map(({ name }) => name).join(' ')}' ;;`).join('\n')}
  esac
}
_godwit_valued() {
  case "$1" in
${verbs.map(({ path, flags }) => `    '${path}') echo '${valued(flags)}' ;;`).join('\n')}
  esac
}
complete -F _godwit godwit ./godwit
`;
}

function valued(flags: Completable['flags']): string {
  return flags
    .filter(({ value }) => value !== undefined)
    .map(({ name }) => name)
    .join(' ');
}

function valueCases({ path, flags }: Completable): string[] {
  return flags.flatMap(({ name, value }) =>
    value === undefined ? [] : [`    '${path} ${name}') ${action(value)}; return ;;`],
  );
}

function argumentCase({ path, args }: Completable): string {
  const cases = args.map((words, index) => `${index}) ${action(words)} ;;`);
  return `    '${path}') case $n in ${cases.join(' ')} esac ;;`;
}

function action(words: Words): string {
  switch (words.kind) {
    case 'list':
      return `_godwit_words '${words.words.join(' ')}'`;
    case 'names':
      return `_godwit_names ${words.of}`;
    case 'files':
      return '_godwit_files';
    case 'nothing':
      return ':';
  }
}
