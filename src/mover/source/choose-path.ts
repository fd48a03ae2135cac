import { readFileSync } from 'node:fs';
import { godwitError } from '../../errors.ts';
import { choosePath } from '../../migration/data-path.ts';
import type { StepFacts } from '../../migration/source-state.ts';
import type { WireOffer } from '../../protocol/wire.ts';
import { offerOf } from '../wire.ts';
import type { SourceParts } from './parts.ts';

/** The way that memory will take, once it is known what the destination offers. GODWIT_CAPABILITY for a wire that is none. */
export function choosePathTo(
  { config, way, request, state }: SourceParts,
  offer: WireOffer | undefined,
): Pick<StepFacts, 'path'> {
  const { guest, to, settings } = state().plan;
  if (settings.path === undefined || settings.path === 'native') return {};
  const choice = choosePath(settings, {
    reachable: mayReachUs(request.handle.pid),
    own: way.offered ? offerOf(config, guest) : undefined,
    offer,
    memoryBytes: request.memoryBytes,
    linkBytesPerS: config.wire.rates[to] ?? request.seenLinkRate,
  });
  if (choice.takes !== 'neither') return { path: choice };
  const hint = 'Leave --path wire out, or upgrade Godwit on the host that is named.';
  throw godwitError('GODWIT_CAPABILITY', { what: '--path wire', reason: choice.reason }, { hint });
}

/** Its socket lies in a directory that only this process's user may enter. */
function mayReachUs(pid: number): boolean {
  try {
    const [, effective] =
      /^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return (
      effective === undefined || effective === '0' || Number(effective) === process.geteuid?.()
    );
  } catch {
    // It has ended, which others find out.
    return true;
  }
}
