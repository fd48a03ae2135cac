/** The lab's migration links, one by one: a link that swallows what it gets, without a word to anybody. */
import { runCommand } from '../../../lab/command.ts';
import { inLab } from '../../../lab/entry.ts';
import { pathBridge, portNames } from '../../../lab/network-plan.ts';
import { namespaceOf } from '../../../lab/plan.ts';
import type { World } from './world.ts';

/** Cuts a host off from a path, or joins it again. Its own link stays up: nothing tells the host. */
export async function setPath(
  { lab }: World,
  host: string,
  path: number,
  state: 'open' | 'black hole',
): Promise<void> {
  const { port } = portNames(host, path);
  const change = state === 'open' ? ['master', pathBridge(path)] : ['nomaster'];
  const argv = ['ip', '-n', namespaceOf(lab.name, 'switch'), 'link', 'set', port, ...change];
  await runCommand(inLab(lab.entry, argv));
}
