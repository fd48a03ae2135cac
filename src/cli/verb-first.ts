import { CONNECTION_FLAGS } from './verb.ts';

const SWITCHES = new Set(['--json', '-v', '--verbose']);

/** A line whose flags of the agent, --json or -v stand before the verb, with the verb first. */
export function verbFirst(argv: readonly string[]): string[] {
  let at = 0;
  while (at < argv.length) {
    const [name = '', ...value] = (argv[at] ?? '').split('=');
    const isAgent = name.startsWith('--') && name.slice(2) in CONNECTION_FLAGS;
    if (!isAgent && !SWITCHES.has(name)) break;
    at += isAgent && value.length === 0 ? 2 : 1;
  }
  const rest = argv.slice(at);
  if (at === 0 || rest.length === 0) return [...argv];
  // What follows `--` is no flag.
  const end = rest.indexOf('--');
  const flags = argv.slice(0, at);
  return end < 0 ? [...rest, ...flags] : [...rest.slice(0, end), ...flags, ...rest.slice(end)];
}
