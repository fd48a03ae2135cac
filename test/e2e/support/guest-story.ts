/** What can be found out about a guest that is not as it should be, from outside of it and of Godwit. */
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../../src/clock.ts';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import type { Lab } from '../../../lab/state.ts';
import { seenStatuses, type SeenStatus } from '../../../lab/witness/qemus.ts';
import { askQemu } from '../../../lab/witness/monitor.ts';

const LAST_CHARACTERS = 1500;
/** Between two looks at a processor: one that works is elsewhere by then. */
const LOOK_MS = 300;
/** Where it is, whether it halts, and which processor it is shown. */
const REGISTERS = /^(CPU#|EIP|RIP).*$/gm;

/**
 * Of each of its QEMUs: its state, where its processors are, twice, its NICs' ports on the host, and what the guest
 * said last on its console. Never rejects.
 */
async function guestStory(lab: Lab, guest: string): Promise<string> {
  const seen = await seenStatuses(lab).catch(() => []);
  const own = seen.filter((qemu) => qemu.guest === guest);
  if (own.length === 0) return `no QEMU of ${guest} is there`;
  return (await Promise.all(own.map((qemu) => storyOf(lab, qemu)))).join('\n');
}

/** The same beside what went wrong. */
export async function withGuestStory<T>(
  lab: Lab,
  guest: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(`${what}\n${await guestStory(lab, guest)}`, { cause: thrown });
  }
}

async function storyOf(lab: Lab, qemu: SeenStatus): Promise<string> {
  const first = await registersOf(qemu);
  await systemClock.sleep(LOOK_MS);
  const ports = await Promise.all(qemu.taps.map((tap) => portOf(lab, qemu.host, tap)));
  return [
    `${qemu.guest} on ${qemu.host}: process ${qemu.pid}, ${qemu.status}`,
    `at first: ${first}`,
    `${LOOK_MS} ms later: ${await registersOf(qemu)}`,
    ...ports,
    `its console: ${await consoleOf(qemu)}`,
  ].join('\n  ');
}

async function registersOf(qemu: SeenStatus): Promise<string> {
  const monitor = qemu.monitors.at(-1);
  if (monitor === undefined) return 'it has no monitor';
  const args = { 'command-line': 'info registers -a' };
  const said = await askQemu(monitor, 'human-monitor-command', args, 2000).catch(String);
  return String(said).match(REGISTERS)?.join(' ') ?? String(said).slice(0, 200);
}

async function portOf(lab: Lab, host: string, tap: string): Promise<string> {
  const argv = inHost(lab, host, ['ip', '-d', '-s', '-o', 'link', 'show', 'dev', tap]);
  return runCommand(argv).then((said) => said.trim(), String);
}

async function consoleOf({ argv }: SeenStatus): Promise<string> {
  const [file] = argv.flatMap((word) => /logfile=([^,]+)/.exec(word)?.[1] ?? []);
  if (file === undefined) return 'none';
  return readFile(file, 'latin1').then((text) => text.slice(-LAST_CHARACTERS), String);
}
