import { readFile, writeFile } from 'node:fs/promises';

const HUGE_PAGES = '/sys/kernel/mm/hugepages/hugepages-2048kB';

const count = async (file: string): Promise<number> =>
  Number(await readFile(`${HUGE_PAGES}/${file}`, 'utf8'));

const reserve = (pages: number): Promise<void> =>
  writeFile(`${HUGE_PAGES}/nr_hugepages`, String(pages));

/** Pages of 2 MiB that are there until `giveBack`; where they cannot be had, `lacking` says why. */
export interface HugePages {
  readonly lacking?: string;
  giveBack(): Promise<void>;
}

export async function reserveHugePages(pages: number): Promise<HugePages> {
  let before: number;
  try {
    before = await count('nr_hugepages');
    await reserve(before + pages);
  } catch (error) {
    const lacking = `this machine has no pages of 2 MiB to reserve: ${String(error)}`;
    return { lacking, giveBack: async () => {} };
  }
  const giveBack = (): Promise<void> => reserve(before);
  const free = await count('free_hugepages');
  if (free >= pages) return { giveBack };
  return { lacking: `only ${free} of ${pages} pages of 2 MiB could be reserved`, giveBack };
}
