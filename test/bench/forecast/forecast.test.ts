import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Forecast, FORECAST } from '../../../bench/forecast/forecast.ts';

const PER_DAY = 24;
const hourly = { ...FORECAST, ahead: 2, perDay: PER_DAY, samples: 24, missSamples: 24 * 7 };

describe('a forecast', () => {
  test('says nothing before the first sample', () => {
    const forecast = new Forecast(4);
    assert.equal(forecast.expected(), undefined);
    assert.equal(forecast.atMost(0.9), undefined);
  });

  test('goes from nothing to the guest’s size, whatever it is given, and a greater share is never less', () => {
    const sample = fc.option(fc.double({ min: 0, max: 4, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 100 }), (samples) => {
        const forecast = new Forecast(4, hourly);
        for (const each of samples) forecast.observe(each);
        const [usual, most] = [forecast.atMost(0.9) ?? -1, forecast.atMost(0.99) ?? -1];
        assert.ok(usual >= 0 && most <= 4 && usual <= most, `${usual}, ${most}`);
      }),
    );
  });

  test('knows the morning before it comes, once it has seen some days', () => {
    const forecast = new Forecast(4, hourly);
    const at = (hour: number): number => (hour % PER_DAY >= 8 && hour % PER_DAY < 18 ? 3 : 0.5);
    for (let hour = 0; hour <= 10 * PER_DAY + 6; hour += 1) forecast.observe(at(hour));
    // It is six o’clock, and the guest is idle.
    assert.ok((forecast.expected() ?? 0) > 2, String(forecast.expected()));
    const flat = new Forecast(4, hourly);
    for (let hour = 0; hour <= 10 * PER_DAY + 6; hour += 1) flat.observe(0.5);
    assert.ok(Math.abs((flat.expected() ?? 0) - 0.5) < 0.01);
  });
});
