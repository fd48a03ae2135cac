import { nodeName } from '../../../../protocol/disk.ts';

export class NodeNames {
  readonly #taken: Set<string>;

  constructor(taken: readonly string[]) {
    this.#taken = new Set(taken.filter((name) => name !== ''));
  }

  /** Node's own name if it was given one, otherwise a name made from the disk's. */
  for(name: string, from: string, what: string): string {
    if (nodeName.safeParse(name).success) return name;
    const clean = from
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z]*/, '')
      .slice(-18);
    const base = `${/^[A-Za-z]/.test(clean) ? clean : `disk${clean}`}-${what}`.slice(0, 27);
    let made = base;
    for (let number = 2; this.#taken.has(made); number++) made = `${base}-${number}`;
    this.#taken.add(made);
    return made;
  }
}
