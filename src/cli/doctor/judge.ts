import { formatBytes } from '../../protocol/quantity.ts';
import type { Facts, Finding, HypervisorFact, Verdict } from './facts.ts';
import { judgeCertificates, judgeTrust } from './judge-trust.ts';

const OLDEST_QEMU: readonly [number, number] = [7, 2];
const NODE_MAJOR = 26;
const MEMORY_LOW = 512 * 1024 * 1024;
const FILES_LOW = 1024;

export function judge(facts: Facts): Finding[] {
  return [
    judgeNode(facts),
    judgePrivilege(facts),
    ...judgeHypervisors(facts),
    judgeKvm(facts),
    judgePostcopy(facts),
    ...judgeNetwork(facts),
    judgeMemory(facts),
    judgeOpenFiles(facts),
    judgeClock(facts),
    ...judgeConfig(facts),
    ...judgeCertificates(facts),
    judgeAgent(facts),
    ...judgeTrust(facts),
    ...judgeLab(facts),
  ];
}

export function worst(findings: readonly Finding[]): Verdict {
  if (findings.some(({ verdict }) => verdict === 'fail')) return 'fail';
  return findings.some(({ verdict }) => verdict === 'warn') ? 'warn' : 'ok';
}

function judgeNode({ nodeVersion }: Facts): Finding {
  const major = Number(nodeVersion.split('.')[0]);
  const found = `Node ${nodeVersion}`;
  if (major >= NODE_MAJOR) return { name: 'node', verdict: 'ok', found };
  return {
    name: 'node',
    verdict: 'fail',
    found,
    hint: `Run Godwit with Node ${NODE_MAJOR}: its package brings one (/usr/bin/godwit).`,
  };
}

function judgePrivilege({ root, userNamespaces }: Facts): Finding {
  const name = 'privilege';
  if (root) return { name, verdict: 'ok', found: 'root' };
  if (userNamespaces.ok) {
    return {
      name,
      verdict: 'warn',
      found: 'not root; user namespaces are allowed',
      hint: 'This is enough for a lab. To move the guests of this host, the agent must run as root.',
    };
  }
  return {
    name,
    verdict: 'fail',
    found: `not root, and no user namespaces: ${userNamespaces.reason}`,
    hint: 'Run as root, or allow user namespaces: sysctl user.max_user_namespaces=15000, and, if they exist, kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0.',
  };
}

function judgeHypervisors({ hypervisors }: Facts): Finding[] {
  if (hypervisors.length === 0) {
    const hint =
      'Install QEMU 7.2 or later: `apt install --no-install-recommends qemu-system-x86 qemu-utils` (Debian, Ubuntu), qemu-system-x86 (Arch), qemu-kvm (Fedora, RHEL), qemu-x86 (SUSE); or list its path under `drivers.qemu.programs` in the configuration.';
    return [{ name: 'qemu', verdict: 'fail', found: 'no QEMU for x86_64', hint }];
  }
  const someGood = hypervisors.some(isGood);
  return hypervisors.map((each): Finding => {
    const found = `${each.binary}: ${each.version ?? 'does not report its version'}`;
    if (isGood(each)) return { name: 'qemu', verdict: 'ok', found };
    const verdict = someGood ? 'warn' : 'fail';
    return { name: 'qemu', verdict, found, hint: 'Godwit needs QEMU 7.2 or later: upgrade it.' };
  });
}

function isGood({ version }: HypervisorFact): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  return major > OLDEST_QEMU[0] || (major === OLDEST_QEMU[0] && minor >= OLDEST_QEMU[1]);
}

function judgeKvm({ kvmDevice, hypervisors }: Facts): Finding {
  const name = 'kvm';
  const slow = 'Guests run by emulation (TCG), many times slower; moving them works all the same.';
  if (!kvmDevice.ok) {
    const hint = `${slow} To use KVM: load kvm_intel or kvm_amd, switch virtualization on in the firmware, and let this user open /dev/kvm (group kvm).`;
    return { name, verdict: 'warn', found: `/dev/kvm cannot be used: ${kvmDevice.reason}`, hint };
  }
  const works = hypervisors.find(({ kvm }) => kvm.ok);
  if (works !== undefined) {
    const found = `${works.binary} makes a KVM machine; whether a guest boots on it shows only when one does`;
    return { name, verdict: 'ok', found };
  }
  const reason = hypervisors
    .map(({ kvm }) => (kvm.ok ? '' : kvm.reason))
    .find((text) => text !== '');
  const found = `/dev/kvm opens, but no QEMU could use it${reason === undefined ? '' : `: ${reason}`}`;
  return { name, verdict: 'warn', found, hint: slow };
}

function judgePostcopy({ hypervisors, root, unprivilegedUserfaultfd }: Facts): Finding {
  const name = 'post-copy';
  const works = hypervisors.find(({ postcopy }) => postcopy.ok);
  if (works !== undefined) {
    return { name, verdict: 'ok', found: `${works.binary} can use userfaultfd` };
  }
  const said = hypervisors.map(({ postcopy }) => (postcopy.ok ? '' : postcopy.reason))[0];
  const sysctl = `vm.unprivileged_userfaultfd is ${unprivilegedUserfaultfd ?? 'not there'}`;
  return {
    name,
    verdict: 'warn',
    found: `${said ?? 'no QEMU to try it with'} (${root ? 'root' : 'not root'}, ${sysctl})`,
    hint: 'Pre-copy works without it. For post-copy and hybrid run as root, or set vm.unprivileged_userfaultfd=1.',
  };
}

function judgeMemory({ memory }: Facts): Finding {
  const name = 'memory';
  if (memory === undefined) {
    return { name, verdict: 'warn', found: 'not known', hint: 'Check that /proc is mounted.' };
  }
  const { availableBytes, totalBytes } = memory;
  const found = `${formatBytes(availableBytes)} of ${formatBytes(totalBytes)} available`;
  if (availableBytes >= MEMORY_LOW) return { name, verdict: 'ok', found };
  return { name, verdict: 'warn', found, hint: 'Free memory before guests are moved here.' };
}

function judgeOpenFiles({ openFiles }: Facts): Finding {
  const name = 'open files';
  if (openFiles === undefined) {
    return {
      name,
      verdict: 'warn',
      found: 'limit not known',
      hint: 'Check that /proc is mounted.',
    };
  }
  const found = `limit ${openFiles.soft} (at most ${openFiles.hard})`;
  if (openFiles.soft >= FILES_LOW) return { name, verdict: 'ok', found };
  const hint = 'Raise it: `ulimit -n 4096`, or LimitNOFILE= in the unit of the agent.';
  return { name, verdict: 'warn', found, hint };
}

function judgeClock({ clock }: Facts): Finding {
  const name = 'clock';
  const hint = 'Run chrony or systemd-timesyncd: certificates and reports go by the clock.';
  if (clock === undefined) {
    return {
      name,
      verdict: 'warn',
      found: 'nothing here reports whether it is synchronized',
      hint,
    };
  }
  if (clock.synchronized) return { name, verdict: 'ok', found: `synchronized (${clock.by})` };
  return { name, verdict: 'warn', found: `not synchronized (${clock.by})`, hint };
}

function judgeConfig({ config }: Facts): Finding[] {
  const name = 'configuration';
  switch (config.state) {
    case 'read':
      if (config.problems.length === 0) return [{ name, verdict: 'ok', found: config.file }];
      return config.problems.map(({ what, hint, isFatal }) => ({
        name,
        verdict: isFatal ? 'fail' : 'warn',
        found: what.startsWith(config.file) ? what : `${config.file}: ${what}`,
        hint,
      }));
    case 'wrong':
      return [
        {
          name,
          verdict: 'fail',
          found: `${config.file}: ${config.reason}`,
          hint: 'Correct the file; docs/configuration.md lists every setting.',
        },
      ];
    case 'absent':
      return [
        {
          name,
          verdict: 'warn',
          found: `${config.file} is not there`,
          hint: 'Run `godwit init` for the first host of a fleet, or `godwit join` to add this host to one; or name the file with --config. A lab needs none.',
        },
      ];
  }
}

function judgeAgent({ agent }: Facts): Finding {
  const name = 'agent';
  if (agent.answering.length > 0) {
    return { name, verdict: 'ok', found: `answering: ${agent.answering.join(', ')}` };
  }
  return {
    name,
    verdict: 'warn',
    found: agent.problem ?? 'none answers',
    hint: 'Set this host up with `godwit init`, or start its agent: `systemctl start godwit-agent`, or `godwit serve agent --config FILE`.',
  };
}

const FEW_PORTS = 16;

const PACKAGE_OF: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2 (iproute-tc on Fedora)',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
};

function judgeNetwork(facts: Facts): Finding[] {
  return [judgeTun(facts), judgeTools(facts), judgeBridges(facts), judgePorts(facts)];
}

function judgeTun({ tunDevice }: Facts): Finding {
  const name = 'tun';
  if (tunDevice.ok) return { name, verdict: 'ok', found: '/dev/net/tun opens' };
  return {
    name,
    verdict: 'fail',
    found: `/dev/net/tun cannot be used: ${tunDevice.reason}`,
    hint: 'Run as root: modprobe tun; chmod 0666 /dev/net/tun (the default of distributions). Pass the device into a container.',
  };
}

function judgeTools({ tools, root }: Facts): Finding {
  const name = 'tools';
  const missing = Object.keys(tools).filter((tool) => tools[tool] !== true);
  if (missing.length === 0) {
    return { name, verdict: 'ok', found: Object.keys(tools).join(', ') };
  }
  const packages = [...new Set(missing.map((tool) => PACKAGE_OF[tool] ?? tool))];
  return {
    name,
    // Without ip an agent cannot make taps; without setpriv an agent that is root cannot start guests. The others are
    // for the lab.
    verdict: missing.includes('ip') || (root && missing.includes('setpriv')) ? 'fail' : 'warn',
    found: `missing: ${missing.join(', ')}`,
    hint: `Install ${packages.join(' and ')}.`,
  };
}

function judgeBridges({ bridges }: Facts): Finding {
  const name = 'bridges';
  if (bridges.length > 0) return { name, verdict: 'ok', found: bridges.join(', ') };
  return {
    name,
    verdict: 'warn',
    found: 'none on this host',
    hint: 'A guest with a network moves only to a host that has its bridge: make one, or map it under `bridges` in the configuration. A lab makes its own.',
  };
}

function judgePorts({ ports }: Facts): Finding {
  const name = 'ports';
  const all = ports.to - ports.from + 1;
  const found = `${ports.free} of ${all} free from ${ports.from} to ${ports.to}`;
  if (ports.free >= Math.min(FEW_PORTS, all)) return { name, verdict: 'ok', found };
  return {
    name,
    verdict: ports.free === 0 ? 'fail' : 'warn',
    found,
    hint: 'Widen `ports` in the configuration, and open them to the other hosts.',
  };
}

/** Tells whether a lab could be built here; the host's own faults are listed elsewhere. */
function judgeLab({ guestImage, root, userNamespaces, tunDevice, tools }: Facts): Finding[] {
  if (guestImage === undefined) return [];
  const name = 'lab';
  const obstacles = [
    ...(root || userNamespaces.ok ? [] : ['root or user namespaces']),
    ...(tunDevice.ok ? [] : ['/dev/net/tun']),
    ...Object.keys(tools).filter((tool) => tools[tool] !== true),
  ];
  if (obstacles.length > 0) {
    const found = `a lab needs ${obstacles.join(', ')}`;
    return [{ name, verdict: 'warn', found, hint: 'Fix the lines above that name them.' }];
  }
  if (guestImage.ready)
    return [{ name, verdict: 'ok', found: `guest kernel in ${guestImage.folder}` }];
  return [
    {
      name,
      verdict: 'warn',
      found: `no guest kernel in ${guestImage.folder}`,
      hint: 'Run `npm run setup`: it installs a kernel and busybox for the guests of the lab.',
    },
  ];
}
