import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { explained, meaningOf, meaningOfEvent } from '../../../src/drivers/hyperv/hresults.ts';
import { jobOf, jobSince, sightOf } from '../../../src/drivers/hyperv/job.ts';
import { markBegins, markedAt } from '../../../src/drivers/hyperv/session.ts';
import { hypervOptions, peerOf } from '../../../src/drivers/hyperv/options.ts';
import { whereabouts } from '../../../src/drivers/hyperv/whereabouts.ts';

describe("Hyper-V's messages", () => {
  // Messages as Microsoft's pages on live migration print them (Troubleshoot live migration issues).
  const reported: [string, number | undefined, string][] = [
    ['No credentials are available in the security package', -2146893042, 'delegation'],
    ['failed: General access denied error (0x80070005).', undefined, 'rights'],
    ['Failed to connect: (0x8007274D).', undefined, 'network'],
    ['The operation cannot be completed: (0x800705AA)', undefined, 'memory'],
    ['The virtual machine is using processor-specific features not supported on', undefined, 'cpu'],
    ['Could not find Ethernet switch ‘lan’.', undefined, 'switch'],
    ['(0xC03A0014)', undefined, 'image'],
    ['Logon failure (0x80070569)', undefined, 'rights'],
    ['You do not have the required permission to complete this task.', -2146233088, 'rights'],
  ];
  for (const [message, hresult, kind] of reported) {
    test(`${message.slice(0, 40)}: ${kind}`, () => {
      assert.equal(meaningOf(message, hresult)?.kind, kind);
      assert.ok(explained(message, hresult).startsWith(message));
    });
  }

  test('an unknown message is shown whole, with its number', () => {
    assert.equal(explained('It is Tuesday.', -1), 'It is Tuesday. (0xFFFFFFFF)');
    assert.equal(meaningOf('It is Tuesday.', -1), undefined);
  });

  test('event 21502 has no specific meaning; 21501 and 21125 have one', () => {
    assert.equal(meaningOfEvent(21_502, 'failed'), undefined);
    assert.equal(meaningOfEvent(21_502, 'failed (0x8007274C)')?.kind, 'network');
    assert.equal(meaningOfEvent(21_501, 'failed')?.kind, 'limit');
    assert.equal(meaningOfEvent(21_125, 'failed')?.kind, 'switch');
  });
});

describe('a migration job', () => {
  const job = (state: number, more: object = {}): ReturnType<typeof jobOf> =>
    jobOf({ InstanceID: ['1'], JobState: [String(state)], PercentComplete: ['40'], ...more });

  test("a job's state shows whether it runs, is done, is cancelled or has failed", () => {
    const states = [2, 4, 7, 8, 9, 32_768].map((state) => sightOf(job(state)!).state);
    assert.deepEqual(states, ['running', 'running', 'done', 'cancelled', 'cancelled', 'done']);
    const failed = sightOf(job(10, { ErrorDescription: ['It broke (0x8007274C).'] })!);
    assert.equal(failed.state, 'failed');
    assert.match(JSON.stringify(failed), /did not answer in time/);
  });

  test('bytes, rounds and downtime are not reported, and never 0', () => {
    assert.deepEqual(sightOf(job(4)!), { state: 'running', percent: 40 });
    assert.deepEqual(sightOf(job(7)!), { state: 'done' });
  });

  test('a job that is older than the order does not belong to it', () => {
    const at = (moment: string): ReturnType<typeof jobOf> => job(10, { TimeSubmitted: [moment] });
    const [older, newer] = [at('2026-01-01T00:00:00Z')!, at('2026-01-01T00:00:10Z')!];
    assert.equal(jobSince([older], Date.parse('2026-01-01T00:00:05Z')), undefined);
    assert.equal(jobSince([newer, older], Date.parse('2026-01-01T00:00:05Z')), newer);
  });

  test('any properties yield a job or none', () => {
    const properties = fc.dictionary(
      fc.constantFrom('InstanceID', 'JobState', 'PercentComplete', 'TimeSubmitted', 'ErrorCode'),
      fc.array(fc.string(), { maxLength: 2 }),
    );
    fc.assert(
      fc.property(properties, (given) => {
        const made = jobOf(given);
        if (made !== undefined) assert.ok(made.id !== '' && sightOf(made).state !== 'none');
      }),
    );
  });
});

describe('the mark of a migration', () => {
  test('the mark is found in the notes by its id alone', () => {
    const notes = `mine\n${markBegins('m-00000001')}2026-01-01T00:00:00.000Z]`;
    assert.equal(markedAt(notes, 'm-00000001'), Date.parse('2026-01-01T00:00:00Z'));
    assert.equal(markedAt(notes, 'm-00000002'), undefined);
    assert.equal(markedAt('[godwit m-00000001 yesterday]', 'm-00000001'), undefined);
  });

  test('any notes have one mark or none', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = markedAt(`${markBegins('m-00000001')}${text}`, 'm-00000001');
        assert.ok(found === undefined || Number.isFinite(found));
      }),
    );
  });
});

describe("a guest's place", () => {
  const [runs, off] = [{ enabled: 2 }, { enabled: 3 }];

  test('the guest is at the host that reports it running', () => {
    assert.deepEqual(whereabouts(runs, 'absent', false), { at: 'source', busy: false });
    assert.deepEqual(whereabouts('absent', runs, false), { at: 'destination', busy: false });
    assert.deepEqual(whereabouts('silent', runs, undefined), { at: 'destination' });
  });

  test('the place is unknown if both hosts, neither, or no answer reports it', () => {
    assert.deepEqual(whereabouts(runs, runs, false), { at: 'unknown', busy: true });
    assert.deepEqual(whereabouts('absent', 'silent', undefined), { at: 'unknown' });
    assert.deepEqual(whereabouts('absent', off, false), { at: 'unknown', busy: false });
  });
});

describe('the configuration', () => {
  const given = { url: 'https://hv1:5986/wsman', user: 'u', passwordFile: 'p' };

  test('plain HTTP is refused by name', () => {
    const http = hypervOptions.safeParse({ ...given, url: 'http://hv1:5985/wsman' });
    assert.match(String(http.error), /https:\/\/ only/);
  });

  test('a Kerberos login requires a user of a domain, and hosts by their names', () => {
    const kerberos = { ...given, auth: 'kerberos', user: 'u@example.com' };
    assert.equal(hypervOptions.parse(kerberos).auth, 'kerberos');
    for (const user of ['u', String.raw`EXAMPLE\u`]) {
      const refused = hypervOptions.safeParse({ ...kerberos, user });
      assert.match(String(refused.error), /user of a domain/);
    }
    for (const url of ['https://10.0.0.1:5986/wsman', 'https://[::1]:5986/wsman']) {
      const own = hypervOptions.safeParse({ ...kerberos, url });
      assert.match(String(own.error), /hosts by name/);
      const other = hypervOptions.safeParse({ ...kerberos, hosts: { hv2: { url } } });
      assert.match(String(other.error), /hosts by name/);
      assert.ok(hypervOptions.safeParse({ ...given, url }).success);
    }
  });

  test('a fingerprint may have colons or none, and any case', () => {
    const { fingerprint } = hypervOptions.parse({ ...given, fingerprint: 'AA:'.repeat(31) + 'AA' });
    assert.equal(fingerprint, 'aa'.repeat(32));
  });

  test('a host without a configured address is reached by its own name', () => {
    const options = hypervOptions.parse(given);
    const { url, name } = peerOf(options, 'hv9');
    assert.deepEqual([url, name], ['https://hv9:5986/wsman', 'hv9']);
    assert.equal(peerOf(options, 'constructor').name, 'constructor');
  });
});
