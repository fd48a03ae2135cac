/** The migration plane between two hosts, harmed at the switch: the hosts themselves see nothing but the silence. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { inHost } from '../../lab/entry.ts';
import { systemEnvironment } from '../../lab/environment.ts';
import { portNames } from '../../lab/network-plan.ts';
import { labHost } from '../../lab/state.ts';
import { Batch } from './batch.ts';
import type { Injector, FaultSite } from './injector.ts';

/** Everything to and from the destination's host is lost. */
export function darkLink({ lab, to }: FaultSite): Injector<unknown> {
  const { port } = portNames(to);
  const ip = new Batch(lab, 'ip', 'switch');
  return {
    strike: async () => {
      ip.write(`link set ${port} down`);
      return `the link of ${to} is down at the switch`;
    },
    clear: async () => {
      ip.write(`link set ${port} up`);
      await ip.end();
    },
  };
}

/** 1 Mbit/s towards the destination, by a token bucket. */
export function slowLink({ lab, to }: FaultSite): Injector {
  return shaped(lab, to, 'rate 1mbit burst 16kb latency 400ms', `1 Mbit/s towards ${to}`);
}

/**
 * One direction is lost. Few kernels have netem; a token bucket that is smaller than any packet drops all of them,
 * and only in its own direction.
 */
export function oneWayLink({ lab, from, to, chance }: FaultSite): Injector {
  const deaf = chance < 0.5 ? to : from;
  return shaped(lab, deaf, 'rate 8bit burst 10b limit 10b', `nothing reaches ${deaf}`);
}

function shaped(lab: FaultSite['lab'], host: string, bucket: string, reported: string): Injector {
  const { port } = portNames(host);
  const tc = new Batch(lab, 'tc', 'switch');
  let struck = false;
  return {
    strike: async () => {
      tc.write(`qdisc add dev ${port} root tbf ${bucket}`);
      struck = true;
      return reported;
    },
    clear: async () => {
      if (struck) tc.write(`qdisc del dev ${port} root`);
      struck = false;
      await tc.end();
    },
  };
}

/** Every TCP connection between the two hosts is ended with a reset, at both ends; new ones may be made at once. */
export function resetLink({ lab, from, to }: FaultSite): Injector<unknown> {
  // A shell that waits for a line: what takes long has happened before the moment.
  const shells = [
    [from, to],
    [to, from],
  ].map(([host = '', peer = '']) => {
    const script = `read line && exec ss -K -t dst ${labHost(lab, peer).address}`;
    const [program = '', ...args] = inHost(lab, host, ['sh', '-c', script]);
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: systemEnvironment(),
    });
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    return { child, closed: once(child, 'close'), killed: () => said.split('\n').length - 2 };
  });
  return {
    strike: async () => {
      for (const { child } of shells) child.stdin.end('now\n');
      await Promise.all(shells.map(({ closed }) => closed));
      const counts = shells.map(({ killed }) => Math.max(killed(), 0));
      if (counts.every((count) => count === 0)) throw new Error('there was no connection to reset');
      return `${counts.join(' and ')} connections reset`;
    },
    clear: async () => {
      for (const { child } of shells) child.stdin.end();
      await Promise.all(shells.map(({ closed }) => closed));
    },
  };
}
