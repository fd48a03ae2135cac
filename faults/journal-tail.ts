/** Follows a migration's journal on one host as it grows: what has happened, within a few ms. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { labHost, type Lab } from '../lab/state.ts';
import { journalFile, moverState } from '../src/protocol/mover/request.ts';

export interface JournalLine {
  readonly at: number;
  readonly event: Readonly<Record<string, unknown>> & { readonly type: string };
}

export class JournalTail {
  readonly #dir: string;
  readonly #file: string;

  constructor(lab: Lab, host: string, id: string, side: 'source' | 'destination') {
    this.#dir = path.join(labHost(lab, host).stateDir, 'migrations', id);
    this.#file = path.join(this.#dir, journalFile(side));
  }

  /** A torn last line is left out. */
  lines(): JournalLine[] {
    if (!existsSync(this.#file)) return [];
    const whole = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
    return whole.flatMap((line) => {
      try {
        return [JSON.parse(line) as JournalLine];
      } catch {
        return [];
      }
    });
  }

  did(step: string): boolean {
    return this.lines().some(({ event }) => event.type === 'did' && event['step'] === step);
  }

  has(type: string): boolean {
    return this.lines().some(({ event }) => event.type === type);
  }

  /** The mover that works on it, as it says itself; undefined where none has begun. */
  moverPid(): number | undefined {
    try {
      const text = readFileSync(path.join(this.#dir, 'mover.json'), 'utf8');
      return moverState.parse(JSON.parse(text)).pid;
    } catch {
      return undefined;
    }
  }
}
