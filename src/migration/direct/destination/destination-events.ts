import { z } from 'zod';
import { backingFile } from '../../../protocol/peer/backing-file.ts';
import { MAX_PLACES } from '../../../protocol/disk.ts';
import { serialError } from '../../../protocol/errors.ts';
import { address, hostName, ms, epoch } from '../../../protocol/names.ts';
import { admission, preparation } from '../../../protocol/peer/migration.ts';
import { hypervisorEvent } from '../hypervisor.ts';
import { guestHandle, launch } from '../../../protocol/mover/handle.ts';
import { bootName, proof, uptimeMs } from '../run-right.ts';
import { answersFor } from '../../../protocol/public/resolve.ts';

/** Backing file that the guest only reads, and its path here. */
const seededBackingFile = backingFile.extend({
  /** True: it was missing here, and is removed if the migration ends without the guest here. */
  made: z.boolean(),
});
export type SeededBackingFile = z.infer<typeof seededBackingFile>;

/** Directories created for disk images, outermost first. */
const directories = z.array(z.string().max(4096)).max(2048).optional();

/** Taps made for the guest's NICs: backend id -> tap. */
export const portMap = z.record(z.string().max(128), z.string().max(15));

export const destinationEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('admitted'), admission, host: hostName }),
  z.object({
    type: z.literal('seeding'),
    bases: z.array(seededBackingFile).max(MAX_PLACES),
    directories,
  }),
  /** Written before anything is made, so that a later mover can remove it. */
  z.object({
    type: z.literal('preparing'),
    preparation,
    ports: portMap,
    directories,
  }),
  /** Repeated after a cold move has started the guest's new hypervisor. */
  z.object({
    type: z.literal('prepared'),
    handle: guestHandle,
    memoryAddress: address,
    launch: launch.optional(),
  }),
  z.object({ type: z.literal('armed'), epoch, bootId: bootName }),
  /** The guest may run here from now on. Written before it is resumed. */
  z.object({ type: z.literal('committed'), epoch }),
  z.object({ type: z.literal('running'), epoch, resumeMs: ms }),
  /** `neverRan`: the source sent no commit. A destination may have forgotten that in a reboot. */
  z.object({
    type: z.literal('refused'),
    epoch,
    why: z.string().max(1024),
    neverRan: z.literal(true).optional(),
  }),
  /** Resolved to run here without the source, which is off or was shown not to run it. Written before it is resumed. */
  z.object({
    type: z.literal('resolved'),
    epoch,
    proof,
    by: z.string().max(128),
    /** Boot of the proof or order; without it (an earlier build), it starts no guest. */
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
    answersFor: answersFor.optional(),
  }),
  /** The source has closed the epoch without this side's refusal: the copy here ends. */
  z.object({ type: z.literal('overruled'), epoch, why: z.string().max(1024) }),
  /** The hypervisor provably ended between commit and the guest's first run; the source may run it again. */
  z.object({ type: z.literal('never-ran'), epoch, why: z.string().max(1024) }),
  z.object({ type: z.literal('hypervisor'), event: hypervisorEvent }),
  z.object({ type: z.literal('failed'), error: serialError }),
  /** `told`: the source itself requested it, so it knows the outcome. */
  z.object({ type: z.literal('released'), told: z.boolean().optional() }),
  z.object({ type: z.literal('finished'), told: z.boolean().optional() }),
  /** `neverRan`: no earlier mover resumed the guest (see knowsItNeverRan). */
  z.object({ type: z.literal('taken-over'), pid: z.number().int(), neverRan: z.boolean() }),
]);
export type DestinationEvent = z.infer<typeof destinationEvent>;
