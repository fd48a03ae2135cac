import { z } from 'zod';
import { backingFile } from '../../protocol/peer/backing-file.ts';
import { MAX_PLACES } from '../../protocol/disk.ts';
import { serialError } from '../../protocol/errors.ts';
import { address, hostName, ms, epoch } from '../../protocol/names.ts';
import { admission, preparation } from '../../protocol/peer/migration.ts';
import { hypervisorEvent } from './hypervisor.ts';
import { guestHandle, launch } from '../../protocol/mover/handle.ts';
import { bootName, proof, uptimeMs } from './run-right.ts';
import { answersFor } from '../../protocol/public/resolve.ts';

/** An image that the guest only reads, and where it lies here. */
const seededBackingFile = backingFile.extend({
  /** It was not here: it is sent, and goes again where the migration ends without the guest here. */
  made: z.boolean(),
});
export type SeededBackingFile = z.infer<typeof seededBackingFile>;

/** Directories that are made for images of disks, the outermost first. */
const directories = z.array(z.string().max(4096)).max(2048).optional();

/** Host ports made for the guest's NICs: backend id -> tap. */
export const portMap = z.record(z.string().max(128), z.string().max(15));

/** Everything that can happen to a migration at its destination; journaled as it is. */
export const destinationEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('admitted'), admission, host: hostName }),
  /** Written before any backing file is made. */
  z.object({
    type: z.literal('seeding'),
    bases: z.array(seededBackingFile).max(MAX_PLACES),
    directories,
  }),
  /** Written before anything is made, so that it can be found and taken down. */
  z.object({
    type: z.literal('preparing'),
    preparation,
    ports: portMap,
    directories,
  }),
  /** Once more where a cold move has started the hypervisor that is to run the guest. */
  z.object({
    type: z.literal('prepared'),
    handle: guestHandle,
    memoryAddress: address,
    launch: launch.optional(),
  }),
  z.object({ type: z.literal('armed'), epoch, bootId: bootName }),
  /** Commit has arrived: from here on the guest may run here. Written before it is resumed. */
  z.object({ type: z.literal('committed'), epoch }),
  z.object({ type: z.literal('running'), epoch, resumeMs: ms }),
  /** `neverRan`: the source has sent no commit, which settles what a destination does not know after a reboot. */
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
    /** When the proof was obtained, or the order given; absent: an earlier build's, which starts no guest. */
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
    answersFor: answersFor.optional(),
  }),
  /** The source has closed the epoch without this side's refusal: the copy here ends. */
  z.object({ type: z.literal('overruled'), epoch, why: z.string().max(1024) }),
  /** Its hypervisor ended after the commit, and provably before it ran the guest: the source may have it back. */
  z.object({ type: z.literal('never-ran'), epoch, why: z.string().max(1024) }),
  z.object({ type: z.literal('hypervisor'), event: hypervisorEvent }),
  z.object({ type: z.literal('failed'), error: serialError }),
  /** `told`: the source itself asked for it, so that it knows how this side ended. */
  z.object({ type: z.literal('released'), told: z.boolean().optional() }),
  z.object({ type: z.literal('finished'), told: z.boolean().optional() }),
  /** `neverRan`: this mover knows that no earlier one resumed the guest (see knowsItNeverRan). */
  z.object({ type: z.literal('taken-over'), pid: z.number().int(), neverRan: z.boolean() }),
]);
export type DestinationEvent = z.infer<typeof destinationEvent>;
