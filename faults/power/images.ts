/** The images of a guest whose host loses its power: who may write to them, and whether they are still whole. */
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { runCommand } from '../../lab/command.ts';
import { storageDirectory, type Lab } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import { Monitor } from '../../lab/witness/monitor.ts';
import { seenQemus } from '../../lab/witness/qemus.ts';
import { storedIn, type StoredFiles } from '../disks/storage.ts';

const SAMPLE_MS = 200;
/** Proofs and parts that Godwit itself makes. */
const OWN = /^\.godwit-/;
const COPY = /^disk\d+\.(qcow2|raw)$/;

export class ImageWatch {
  readonly #lab: Lab;
  readonly #guest: string;
  readonly #directory: string;
  readonly #before: StoredFiles;
  readonly #over = new AbortController();
  readonly #both = new Set<string>();
  readonly #sampling: Promise<void>;

  /** `host`: one that sees the guest's storage. */
  constructor(lab: Lab, guest: string, host: string) {
    this.#lab = lab;
    this.#guest = guest;
    this.#directory = path.join(storageDirectory(lab, host), guest);
    // A check that is just over removes its own files.
    this.#before = new Map([...storedIn(this.#directory)].filter(([name]) => !OWN.test(name)));
    this.#sampling = this.#sample();
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('closed'));
    await this.#sampling;
  }

  /** Stops the guest for the look, and leaves it stopped. */
  async problems(): Promise<string[]> {
    await this.close();
    for (const qemu of (await seenQemus(this.#lab)).filter(({ guest }) => guest === this.#guest)) {
      const monitor = await Monitor.connect(qemu.monitors.at(-1) ?? '');
      await monitor?.execute('stop').catch(() => {});
      monitor?.close();
    }
    const now = storedIn(this.#directory);
    const changed = [...this.#before].flatMap(([name, { ino, sha256 }]) => {
      const after = now.get(name);
      if (after === undefined) return [`the image ${name} is gone`];
      if (after.ino !== ino) return [`another file is in the place of the image ${name}`];
      return after.sha256 === sha256 ? [] : [`${name} has changed where the guest does not write`];
    });
    const added = [...now.keys()].filter((name) => !this.#before.has(name));
    const damaged = await Promise.all([...now.keys()].map((name) => this.#damage(name)));
    return [
      ...[...this.#both].map((what) => `TWO QEMUS WRITE: ${what}`),
      ...changed,
      ...added.map((name) => `the file ${name} was left beside the images`),
      ...damaged.flat(),
    ];
  }

  /** Space that is lost is no damage: a host without power cannot give it back. */
  async #damage(name: string): Promise<string[]> {
    if (!name.endsWith('.qcow2')) return [];
    const file = path.join(this.#directory, name);
    const script = 'qemu-img check -q -U "$0"; status=$?; [ $status = 3 ] || exit $status';
    return runCommand(['/bin/sh', '-c', script, file]).then(
      () => [],
      (thrown: Error) => [`${name} is damaged: ${thrown.message}`],
    );
  }

  async #sample(): Promise<void> {
    const images = [...this.#before.keys()].filter((name) => COPY.test(name));
    while (!this.#over.signal.aborted) {
      for (const name of images) {
        const file = path.join(this.#directory, name);
        const writers = await writersOf(this.#lab, this.#guest, file).catch(() => []);
        if (writers.length > 1) this.#both.add(`${name} at ${writers.join(' and ')}`);
      }
      await systemClock.sleep(SAMPLE_MS, this.#over.signal).catch(() => {});
    }
  }
}
