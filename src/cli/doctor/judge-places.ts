import type { Facts, Finding } from './facts.ts';

const FEW_PORTS = 16;

/** Packages that bring a program, as Debian and most others call them. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2 (iproute-tc on Fedora)',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
};

/** What guests and memory streams are joined to. */
export function judgeNetwork(facts: Facts): Finding[] {
  return [judgeTun(facts), judgeTools(facts), judgeBridges(facts), judgePorts(facts)];
}

function judgeTun({ tunDevice }: Facts): Finding {
  const name = 'tun';
  if (tunDevice.ok) return { name, verdict: 'ok', found: '/dev/net/tun opens' };
  return {
    name,
    verdict: 'fail',
    found: `/dev/net/tun cannot be used: ${tunDevice.reason}`,
    hint: 'As root: modprobe tun; chmod 0666 /dev/net/tun (distributions ship it so). In a container, pass the device in.',
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
    // Without ip an agent can make no tap, and without setpriv an agent that is root starts no guest. The others are the lab's.
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

/** Whether a lab could be built here; what the host itself lacks is said elsewhere. */
export function judgeLab({ guestImage, root, userNamespaces, tunDevice, tools }: Facts): Finding {
  const name = 'lab';
  const obstacles = [
    ...(root || userNamespaces.ok ? [] : ['root or user namespaces']),
    ...(tunDevice.ok ? [] : ['/dev/net/tun']),
    ...Object.keys(tools).filter((tool) => tools[tool] !== true),
  ];
  if (obstacles.length > 0) {
    return {
      name,
      verdict: 'warn',
      found: `a lab needs ${obstacles.join(', ')}`,
      hint: 'Fix the lines above that name them.',
    };
  }
  if (guestImage.ready)
    return { name, verdict: 'ok', found: `guest kernel in ${guestImage.folder}` };
  return {
    name,
    verdict: 'warn',
    found: `no guest kernel in ${guestImage.folder}`,
    hint: 'Run `npm run setup`: it brings a kernel and busybox for the lab’s guests.',
  };
}
