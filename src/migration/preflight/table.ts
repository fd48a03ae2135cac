import {
  judgeIncoming,
  judgeMemory,
  judgeName,
  judgeOpen,
  judgePorts,
  judgeRoutes,
  type AdmissionFacts,
} from './admission.ts';
import { judgeGivesBack } from './balloon.ts';
import { judgeCapabilities } from './capabilities.ts';
import type { Finding } from './finding.ts';
import { judgeLink, judgeMigrationNetwork, judgeRoundTrip } from './link.ts';
import { judgeLimits } from './limits.ts';
import { judgeBusy, judgeGuest, judgeOutgoing, type AskFacts } from './guest.ts';
import * as hosts from './hosts.ts';
import type { HostsFacts } from './hosts.ts';
import { judgeWorkload } from './workload.ts';

/**
 * Time of a check. Up to `assess` nothing is built, and `godwit migrate --dry-run` makes the same checks; later steps
 * need what a migration builds.
 */
export const CHECK_STEPS = ['ask', 'admit', 'inspect', 'assess', 'prepare', 'arm'] as const;
type Step = (typeof CHECK_STEPS)[number];

interface Common {
  readonly name: string;
  readonly asks: string;
}

/** Judged here from facts alone. `needs`: whose facts. */
type JudgedCheck =
  | (Common & {
      readonly step: 'ask';
      readonly needs: 'source';
      readonly judge: (facts: AskFacts) => Finding[];
    })
  | (Common & {
      readonly step: 'admit';
      readonly needs: 'destination';
      readonly judge: (facts: AdmissionFacts) => Finding[];
    })
  | (Common & {
      readonly step: 'admit';
      readonly needs: 'both';
      readonly judge: (facts: HostsFacts) => Finding[];
    });

/**
 * Made where its facts are: by the guest's driver through its port, or by a part of the mover. If a judge of this
 * folder decides it, that place calls the judge.
 */
interface ComponentCheck extends Common {
  readonly step: Step;
  readonly needs: 'source' | 'destination' | 'both';
  readonly by: 'driver' | 'disks' | 'network' | 'agent';
}

/**
 * Every check in the order of execution and display, with its judge if an agent's facts suffice, or else with the
 * component that makes it. Other check names do not compile.
 */
export const CHECKS = [
  {
    name: 'busy',
    step: 'ask',
    needs: 'source',
    asks: 'is Godwit at work on the guest already?',
    judge: judgeBusy,
  },
  {
    name: 'outgoing',
    step: 'ask',
    needs: 'source',
    asks: 'may one more guest leave the source now?',
    judge: judgeOutgoing,
  },
  {
    name: 'guest',
    step: 'ask',
    needs: 'source',
    asks: 'may Godwit take hold of the guest, and can it?',
    judge: judgeGuest,
  },
  {
    name: 'capabilities',
    step: 'ask',
    needs: 'source',
    asks: 'can the guest’s driver do what is asked?',
    judge: judgeCapabilities,
  },
  {
    name: 'limits',
    step: 'ask',
    needs: 'source',
    asks: 'do deadline, timeout and downtime leave room for a migration?',
    judge: judgeLimits,
  },
  {
    name: 'workload',
    step: 'ask',
    needs: 'source',
    asks: 'do the guest’s writes, its own traffic and its owner’s limit go together with what is asked for?',
    judge: judgeWorkload,
  },
  {
    name: 'destination',
    step: 'admit',
    needs: 'both',
    asks: 'does the destination answer, and take a guest of this host?',
    by: 'agent',
  },
  {
    name: 'open',
    step: 'admit',
    needs: 'destination',
    asks: 'does the destination admit guests, or is it being emptied?',
    judge: judgeOpen,
  },
  {
    name: 'incoming',
    step: 'admit',
    needs: 'destination',
    asks: 'may one more guest come to the destination now?',
    judge: judgeIncoming,
  },
  {
    name: 'name',
    step: 'admit',
    needs: 'destination',
    asks: 'is the guest’s name free at the destination?',
    judge: judgeName,
  },
  {
    name: 'routes',
    step: 'admit',
    needs: 'destination',
    asks: 'may the destination lead to the guest’s addresses?',
    judge: judgeRoutes,
  },
  {
    name: 'memory',
    step: 'admit',
    needs: 'destination',
    asks: 'has the destination memory for the guest, also in the huge pages and on the NUMA nodes that it asks for?',
    judge: judgeMemory,
  },
  {
    name: 'ports',
    step: 'admit',
    needs: 'destination',
    asks: 'has the destination free ports for the mover and the memory?',
    judge: judgePorts,
  },
  {
    name: 'path',
    step: 'admit',
    needs: 'both',
    asks: 'can memory take the path that was asked for?',
    by: 'agent',
  },
  {
    name: 'transport',
    step: 'admit',
    needs: 'both',
    asks: 'with --transport zero-copy or rdma: have both hosts what it takes, and may memory go unencrypted between them?',
    judge: hosts.judgeTransport,
  },
  {
    name: 'clock',
    step: 'admit',
    needs: 'both',
    asks: 'do the clocks of both hosts agree?',
    judge: hosts.judgeClock,
  },
  {
    name: 'round-trip',
    step: 'admit',
    needs: 'both',
    asks: 'is the route between both hosts so long that a migration or its guest feels it?',
    judge: judgeRoundTrip,
  },
  {
    name: 'link',
    step: 'admit',
    needs: 'both',
    asks: 'does the link between both hosts carry less than 1 Gbit/s, by what is known of it?',
    judge: judgeLink,
  },
  {
    name: 'migration-network',
    step: 'admit',
    needs: 'both',
    asks: 'has memory a network of its own, or one that guests and the host use too?',
    judge: judgeMigrationNetwork,
  },
  {
    name: 'second-path',
    step: 'admit',
    needs: 'both',
    asks: 'where memory may go by post-copy: is there another link when one breaks?',
    judge: hosts.judgeSecondPath,
  },
  {
    name: 'nested',
    step: 'admit',
    needs: 'both',
    asks: 'is the destination a virtual machine that keeps KVM from guests?',
    judge: hosts.judgeNested,
  },
  {
    name: 'versions',
    step: 'admit',
    needs: 'both',
    asks: 'do both hosts run the same build?',
    judge: hosts.judgeVersions,
  },
  {
    name: 'certificates',
    step: 'admit',
    needs: 'both',
    asks: 'do the certificates of both hosts last?',
    judge: hosts.judgeCertificates,
  },
  {
    name: 'journal',
    step: 'admit',
    needs: 'both',
    asks: 'has each host room for what a migration writes down?',
    judge: hosts.judgeJournal,
  },
  {
    name: 'hooks',
    step: 'admit',
    needs: 'both',
    asks: 'has each host the hooks that the other has?',
    judge: hosts.judgeHooks,
  },
  {
    name: 'site-check',
    step: 'admit',
    needs: 'both',
    asks: 'with --return-if-unhealthy: has the destination that check of the site’s?',
    judge: hosts.judgeSiteCheck,
  },
  {
    name: 'gives-back',
    step: 'admit',
    needs: 'both',
    asks: 'with --balloon: does the destination give the guest its memory back?',
    judge: judgeGivesBack,
  },
  {
    name: 'state',
    step: 'inspect',
    needs: 'source',
    asks: 'does the guest run, with no other migration in its hypervisor?',
    by: 'driver',
  },
  {
    name: 'devices',
    step: 'inspect',
    needs: 'both',
    asks: 'can each device and option of the guest be made again, and each device of --plug be had?',
    by: 'driver',
  },
  {
    name: 'image-identity',
    step: 'inspect',
    needs: 'source',
    asks: 'is the file at the path of each image the file that the hypervisor has open?',
    by: 'driver',
  },
  {
    name: 'blocked',
    step: 'inspect',
    needs: 'source',
    asks: 'does the hypervisor itself allow the guest to leave?',
    by: 'driver',
  },
  {
    name: 'stream',
    step: 'inspect',
    needs: 'both',
    asks: 'can both hypervisors send and take memory as was asked?',
    by: 'driver',
  },
  {
    name: 'dirty-tracking',
    step: 'inspect',
    needs: 'source',
    asks: 'does the source’s hypervisor see every write to memory?',
    by: 'driver',
  },
  {
    name: 'inner-guests',
    step: 'inspect',
    needs: 'source',
    asks: 'where a guest under KVM may run guests of its own: has it run any?',
    by: 'driver',
  },
  {
    name: 'restart',
    step: 'inspect',
    needs: 'source',
    asks: 'with --on-lost restart or a cold move: could the guest be started anew?',
    by: 'driver',
  },
  {
    name: 'free-pages',
    step: 'inspect',
    needs: 'source',
    asks: 'where the balloon device asks for hints of free pages: does the guest give them, and are those pages left out?',
    by: 'driver',
  },
  {
    name: 'balloon',
    step: 'inspect',
    needs: 'source',
    asks: 'with --balloon: has the guest an empty balloon whose driver says how much is free?',
    by: 'driver',
  },
  {
    name: 'switchover',
    step: 'inspect',
    needs: 'source',
    asks: 'where devices are passed through: does their state go over within the downtime that is allowed?',
    by: 'agent',
  },
  {
    name: 'process-settings',
    step: 'inspect',
    needs: 'source',
    asks: 'has somebody set a niceness, processors, an OOM score or limits of a cgroup on the guest’s process?',
    by: 'driver',
  },
  {
    name: 'network',
    step: 'assess',
    needs: 'both',
    asks: 'has each NIC a network at the destination?',
    by: 'network',
  },
  {
    name: 'port-settings',
    step: 'assess',
    needs: 'both',
    asks: 'does the port there get what was set on the port here: isolation, guard, flooding, learning and others?',
    by: 'network',
  },
  {
    name: 'port-rules',
    step: 'assess',
    needs: 'both',
    asks: 'do rules of the source’s packet filter name a port of the guest, or limit its rate, and who makes them there?',
    by: 'network',
  },
  {
    name: 'disks',
    step: 'assess',
    needs: 'both',
    asks: 'is each disk shared, by proof, or can it be copied to a place with room?',
    by: 'disks',
  },
  {
    name: 'image-users',
    step: 'assess',
    needs: 'source',
    asks: 'does nothing else of the source (a process, a loop device, a mount) use an image that is to be copied?',
    by: 'disks',
  },
  {
    name: 'machine',
    step: 'assess',
    needs: 'destination',
    asks: 'has the destination a hypervisor with the guest’s machine type?',
    by: 'driver',
  },
  {
    name: 'accelerator',
    step: 'assess',
    needs: 'destination',
    asks: 'has it the guest’s accelerator?',
    by: 'driver',
  },
  {
    name: 'processor',
    step: 'assess',
    needs: 'destination',
    asks: 'does it offer every processor feature that the guest sees, under KVM by a processor of the same vendor?',
    by: 'driver',
  },
  {
    name: 'tsc',
    step: 'assess',
    needs: 'both',
    asks: 'under KVM: does the guest’s time-stamp counter (TSC) go on at the same frequency?',
    by: 'driver',
  },
  {
    name: 'baseline',
    step: 'assess',
    needs: 'both',
    asks: 'where a baseline is set: does the destination give it, and has the guest no more?',
    by: 'driver',
  },
  {
    name: 'images',
    step: 'assess',
    needs: 'destination',
    asks: 'has it the guest’s kernel, firmware and ROM files, by their content?',
    by: 'driver',
  },
  {
    name: 'sandbox',
    step: 'assess',
    needs: 'destination',
    asks: 'will the hypervisor’s system calls be confined?',
    by: 'driver',
  },
  {
    name: 'user',
    step: 'assess',
    needs: 'destination',
    asks: 'will the hypervisor be confined to a user of its own, which reaches what it needs?',
    by: 'driver',
  },
  {
    name: 'cgroup',
    step: 'assess',
    needs: 'destination',
    asks: 'will the hypervisor’s memory and threads have a bound?',
    by: 'driver',
  },
  {
    name: 'segment',
    step: 'assess',
    needs: 'destination',
    asks: 'does nobody else answer for the guest’s addresses there?',
    by: 'network',
  },
  {
    name: 'bound',
    step: 'assess',
    needs: 'destination',
    asks: 'is each port that a network controller binds (OVN, Neutron) bound at the destination by somebody?',
    by: 'network',
  },
  {
    name: 'own-macs',
    step: 'assess',
    needs: 'destination',
    asks: 'does the destination’s cloud deliver frames to the guest’s own MAC and address?',
    by: 'network',
  },
  {
    name: 'raw-frames',
    step: 'assess',
    needs: 'destination',
    asks: 'does the destination’s cloud carry what is no IP: ARP, announcements, other protocols?',
    by: 'network',
  },
  {
    name: 'addresses',
    step: 'assess',
    needs: 'destination',
    asks: 'by what does the guest keep its addresses, and what of its connections lives on?',
    by: 'network',
  },
  {
    name: 'same-machine',
    step: 'prepare',
    needs: 'both',
    asks: 'is the machine that was made there the same as the one that runs, by what both hypervisors report?',
    by: 'driver',
  },
  {
    name: 'connections',
    step: 'arm',
    needs: 'both',
    asks: 'were the connections that the source tracks handed over?',
    by: 'network',
  },
] as const satisfies readonly (JudgedCheck | ComponentCheck)[];

export type CheckName = (typeof CHECKS)[number]['name'];
