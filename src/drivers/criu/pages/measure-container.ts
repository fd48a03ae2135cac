import { systemClock } from '../../../clock.ts';
import { godwitError } from '../../../errors.ts';
import { samplePages, type Until } from '../../../host/memory-sample/pages.ts';
import type { GuestMeasure } from '../../../protocol/public/prediction.ts';
import { processesIn } from '../host/processes.ts';
import { ContainerPages, TooLarge } from './container-pages.ts';

/**
 * Measures a running container's writes and memory contents, by sampling pages of all its processes from
 * outside. The kernel's tracking (soft-dirty bits, PAGEMAP_SCAN) is left to CRIU, because clearing it would hide
 * earlier writes from a dump. GODWIT_CAPABILITY gives the reason for a failure.
 */
export async function measureContainer(
  name: string,
  cgroup: string,
  { signal, brief }: Until,
): Promise<GuestMeasure> {
  const refused = (reason: string): Error =>
    godwitError('GODWIT_CAPABILITY', { what: `to measure ${name}`, reason });
  const pages = new ContainerPages();
  try {
    await pages.add(await processesIn(cgroup), signal);
    const found = await samplePages(pages, systemClock, { signal, brief }, Math.random);
    if (found === undefined) throw refused('none of its pages can be read');
    const memoryBytes = pages.count * 4096;
    return { how: 'pages', memoryBytes, ...found, curve: [...found.curve] };
  } catch (error) {
    if (error instanceof TooLarge) throw refused(error.message);
    if (isForbidden(error)) throw refused('this agent may not read its memory');
    throw error;
  } finally {
    pages.close();
  }
}

function isForbidden(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
  );
}
