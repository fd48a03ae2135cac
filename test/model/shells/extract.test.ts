import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Points, type Script } from './extract.ts';

async function twoTries(script: Script): Promise<string> {
  for (let tries = 0; tries < 2; tries += 1) {
    if ((await script.ask('do it', ['ok', 'no'])) === 'ok') {
      return script.fact('mood', ['good', 'bad']) === 'good' ? 'glad' : 'done';
    }
  }
  return 'given up';
}

describe('the extracted table', () => {
  test('the extracted table contains the result of each answer, and one state for equal continuations', async () => {
    const points = new Points();
    const first = points.all[await points.from(twoTries)];
    const [ask] = first?.asks ?? [];
    assert.equal(ask?.name, 'do it');
    const again = points.all[ask.next.get('no') ?? -1]?.asks?.[0];
    assert.equal(again?.name, 'do it');
    // Whether at the first try or at the second: from there on it does the same.
    assert.equal(again.next.get('ok'), ask.next.get('ok'));
    const mood = points.all[ask.next.get('ok') ?? -1]?.asks?.[0];
    assert.equal(points.all[mood?.next.get('bad') ?? -1]?.over, 'done');
    assert.equal(points.all[again.next.get('no') ?? -1]?.over, 'given up');
  });

  test('the table is refused if the code waits for an event of no known port', async () => {
    const never = (): Promise<string> => new Promise(() => undefined);
    await assert.rejects(new Points().from(never), /no port/);
  });

  test('the table is refused if the code never ends', async () => {
    const forever = async (script: Script): Promise<string> => {
      for (;;) await script.ask('again', ['yes']);
    };
    await assert.rejects(new Points().from(forever), /no end/);
  });

  test('the table is refused if the code fails in a way that is not one of its ends', async () => {
    const fails = (): Promise<string> => Promise.reject(new TypeError('a defect'));
    await assert.rejects(new Points().from(fails), /a defect/);
  });
});
