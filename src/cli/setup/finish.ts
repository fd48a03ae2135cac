import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { syncDirectory } from '../../system/journal-file.ts';
import { printJson, type Context } from '../context.ts';
import { collectFacts } from '../doctor/collect.ts';
import type { Finding } from '../doctor/facts.ts';
import { judge } from '../doctor/judge.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { doctorText } from '../render/findings.ts';
import { configurationOf, explanationFile, explanationOf, type Place } from './configuration.ts';

const UNIT = 'godwit-agent';
const UNIT_FILES = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system'];

/** Others may pass through, because guests' QEMUs run as separate users. */
export function makeStateDir(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
}

export function writeConfiguration(file: string, place: Place): string[] {
  mkdirSync(path.dirname(file), { recursive: true });
  const explained = explanationFile(file);
  writeFileSync(explained, explanationOf(place));
  // Written last: its existence marks the host as set up.
  writeFileSync(file, configurationOf(place), { flag: 'wx', flush: true });
  syncDirectory(path.dirname(file));
  return [file, explained];
}

export interface SetupResult {
  readonly name: string;
  readonly address: string;
  readonly config: string;
  readonly stateDir: string;
  readonly created: readonly string[];
  readonly findings: readonly Finding[];
  /** The first host admits others. */
  readonly isFirst: boolean;
}

export async function printDone(done: SetupResult, context: Context, json: boolean): Promise<void> {
  const { name, address, config, created } = done;
  const checks = [...done.findings, ...(await checksOf(done, context))];
  const next = nextSteps(done);
  if (json) {
    printJson(context, {
      name,
      address,
      config,
      created,
      checks,
      next: next.map(([step]) => step),
    });
    return;
  }
  const widest = Math.max(...next.map(([step]) => step.length));
  const lines = next.map(([step, why]) => `  ${step.padEnd(widest)}  # ${why}`);
  const wrote = created.map((each) => `  ${each}\n`).join('');
  context.out.write(
    `This host is ${name}; other hosts reach it at ${address}.\n\nWritten:\n${wrote}\n`,
  );
  printView(context, doctorText(checks, contextPainter(context)));
  context.out.write(`\nNext:\n${lines.join('\n')}\n`);
}

/** Doctor's findings for this host, except about the agent, which is not running yet, and the lab. */
async function checksOf({ config, stateDir }: SetupResult, context: Context): Promise<Finding[]> {
  const agent = `unix:${path.join(stateDir, 'agent.sock')}`;
  const findings = judge(await collectFacts(context, { agent }, config));
  return findings.filter(({ name }) => name !== 'agent' && name !== 'lab');
}

export function hasUnit(name: string): boolean {
  const file = `${name}.service`;
  const isThere = UNIT_FILES.some((folder) => existsSync(path.join(folder, file)));
  return isThere && existsSync('/run/systemd/system');
}

function nextSteps({ config, stateDir, isFirst, address }: SetupResult): [string, string][] {
  const isUsual = config === OWN_PLACES.config;
  const underSystemd = isUsual && hasUnit(UNIT);
  const own = isUsual ? '' : ` --config ${config}`;
  const start: [string, string] = underSystemd
    ? [
        'systemctl enable --now godwit-agent',
        'runs the agent, now and after each start of this host',
      ]
    : [`godwit serve agent${own}`, 'runs the agent in the foreground'];
  const socket = isUsual ? '' : ` --agent unix:${path.join(stateDir, 'agent.sock')}`;
  const steps: [string, string][] = [
    start,
    [`godwit hosts${socket}`, 'in another terminal: this host, and those it knows'],
  ];
  const example = address.startsWith('[') ? 'fd00::2' : '10.0.0.2';
  if (isFirst)
    steps.push([
      `godwit invite b --addresses ${example}${own}`,
      'for a second host: prints the command to run there',
    ]);
  else
    steps.push([
      `godwit guests${socket}`,
      'the guests of all hosts; `godwit migrate GUEST --to HOST` moves one',
    ]);
  return steps;
}
