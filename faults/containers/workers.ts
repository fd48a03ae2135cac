/** runc and CRIU at work on a container of a host, as processes. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pagersIn } from '../../src/drivers/criu/pager/one-pager.ts';
import { lifeOf } from '../../src/system/processes/life.ts';
import { pids, readStat } from '../../src/system/processes/process.ts';
import type { Fault } from '../cell.ts';
import { BOX } from './plan.ts';

/** `root`: runc's directory of states there. */
function runcAt(root: string, verb: 'checkpoint' | 'restore'): number | undefined {
  return pids().find((pid) => {
    const words = wordsOf(pid);
    return words[0]?.endsWith('runc') === true && words.includes(verb) && words.includes(root);
  });
}

/** The CRIU that it has started. */
function criuAt(root: string, verb: 'checkpoint' | 'restore'): number | undefined {
  const runc = runcAt(root, verb);
  if (runc === undefined) return undefined;
  return pids().find((pid) => parentOf(pid) === runc && nameOf(pid) === 'criu');
}

/** The one that a cell with `kill-…-criu` or `kill-…-runc` kills. */
export function workerAt(
  root: string,
  verb: 'checkpoint' | 'restore',
  fault: Fault,
): number | undefined {
  return fault.endsWith('criu') ? criuAt(root, verb) : runcAt(root, verb);
}

/** Of the container that comes to a host, by what the pager has written down of itself. */
export function pagerOf(stateDir: string): number | undefined {
  const written = read(path.join(stateDir, 'containers', BOX, 'in/images/pagers'));
  return pagersIn(written).findLast((each) => lifeOf(each).state !== 'gone')?.pid;
}

function wordsOf(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`).split('\0');
}

function nameOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function parentOf(pid: number): number | undefined {
  const stat = readStat(read(`/proc/${pid}/stat`));
  return stat?.hasEnded === false ? stat.parent : undefined;
}

/** Empty of one that has ended. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
