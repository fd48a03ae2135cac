import type { StreamSetup } from '../../../../port/direct.ts';
import { holdsSwitchover } from '../../../../migration/steering/steering.ts';
import { mayThrottle, strategyOf } from '../../../../migration/steering/strategies.ts';
import { defined } from '../../../../protocol/defined.ts';
import { streamTls } from '../../../engine/credentials.ts';
import { goesByWire, settingsNow, streamOf, type SourceBase } from '../source-base.ts';
import { streamDowntimeMs, type UnderWay } from './under-way.ts';

/** How the source’s end of the stream is set. */
export function streamSetup(
  context: SourceBase & { readonly underWay: Pick<UnderWay, 'msOf'> },
): StreamSetup {
  const { plan, known } = context.state();
  const { settings, to } = plan;
  const { description } = known;
  const setup = {
    ...streamOf(context),
    maxDowntimeMs: streamDowntimeMs(context),
    holdSwitchover: holdsSwitchover(settings, known),
    ...(mayThrottle(strategyOf(settings)) ? { mayThrottle: true } : {}),
    ...(description?.disks === undefined ? {} : { disks: true }),
    ...sharedVolumes(context),
  };
  // The wire has a cap and a TLS of its own, and its hypervisor speaks to this mover alone.
  if (goesByWire(context)) return { ...setup, tls: false };
  const { maxBandwidth } = settingsNow(context);
  return {
    ...setup,
    ...defined({ maxBandwidth }),
    ...(setup.transport === undefined
      ? { tls: true, credentials: streamTls(context.config, context.dir, to) }
      : { tls: false }),
  };
}

/** What has a place at the destination and is no image of a disk. */
function sharedVolumes({ state }: Pick<SourceBase, 'state'>): Pick<StreamSetup, 'shared'> {
  const { places = [], description } = state().known;
  if (description?.disks !== undefined || places.length === 0) return {};
  return { shared: places.map(({ node }) => node) };
}
