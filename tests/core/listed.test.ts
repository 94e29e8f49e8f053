import { expect } from 'chai';
import { dashed, listed, shortened } from '../../app/core/listed.js';

const names = ['a', 'b', 'c', 'd'];

describe('lists in messages', () => {
  it('say how many names they leave out', () => {
    expect(listed(names, 2)).to.equal('a, b and 2 more');
    expect(shortened(names, 3)).to.deep.equal(['a', 'b', 'c', 'and 1 more']);
    expect(shortened(names, 1, (rest) => `And ${rest} of that kind.`)).to.deep.equal(['a', 'And 3 of that kind.']);
    expect(dashed(names, 2)).to.equal('- a\n- b\n- and 2 more');
  });

  it('leave out nothing when all of it has room', () => {
    expect(listed(names, 4)).to.equal('a, b, c, d');
    expect(listed([])).to.equal('');
    expect(shortened(names, 4)).to.deep.equal(names);
    expect(dashed([], 4)).to.equal('');
  });
});
