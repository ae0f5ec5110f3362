"""Sets like those of further benchmarks, made from what their authors say of them.

``KINDS`` holds a maker for each, by kind, ``LIKE`` the same in one: RandomState -> X, y, with
clusters from 1 and 0 for noise points. None of the original values is used; shapes, and roughly the
numbers of points and of clusters and their distances, are.

S1 to S4, A1 to A3, Birch, Unbalance and G2: Fränti and Sieranoja (2018), K-means properties on six
clustering benchmark datasets; aggregation, compound, pathbased, spiral, jain, flame, R15 and D31:
its sets of shapes. Worms: Sieranoja and Fränti (2019). H2 is G2 with dense centres. Dense, fuzzyx,
line, parabolic, rings and zigzags: Graves and Pedrycz (2010). Chameleon: Karypis, Han and Kumar
(1999). Square, moons and arcs: examples of the manuals of clusterers.
"""

from functools import partial

import numpy as np


def labelled(parts, noise=None):
    """Clusters from 1, and noise points."""
    y = np.repeat(np.arange(len(parts)) + 1, [len(part) for part in parts])
    if noise is None:
        return np.vstack(parts), y
    return np.vstack([*parts, noise]), np.append(y, np.zeros(len(noise), dtype=int))


def gaussians(rng, means, n, std):
    """Gaussians in as many directions as the means have."""
    means = np.asarray(means, dtype=float)
    n, std = np.broadcast_to(n, len(means)), np.broadcast_to(std, len(means))
    return [
        mean + s * rng.normal(size=(size, means.shape[1]))
        for mean, size, s in zip(means, n, std, strict=True)
    ]


def disk(rng, center, radii, n):
    """Points uniform in an ellipse along the axes."""
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.uniform(size=n))
    return np.asarray(center) + np.asarray(radii) * np.column_stack(
        [radius * np.cos(angle), radius * np.sin(angle)]
    )


def box(rng, low, high, n):
    return rng.uniform(low, high, (n, 2))


def arc(rng, center, radius, angles, n, thick):
    """Points about an arc of a circle; the radius may go from one value to another."""
    t = rng.uniform(size=n)
    angle = angles[0] + t * (angles[1] - angles[0])
    r = np.interp(t, (0, 1), np.broadcast_to(radius, 2))
    path = np.column_stack([r * np.cos(angle), r * np.sin(angle)])
    return np.asarray(center) + path + thick * rng.normal(size=(n, 2))


def polyline(rng, corners, n, thick):
    """Points about a line through corners."""
    corners = np.asarray(corners, dtype=float)
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1)))
    t = rng.uniform(0, along[-1], n)
    path = np.column_stack([np.interp(t, along, corners[:, axis]) for axis in (0, 1)])
    return path + thick * rng.normal(size=(n, 2))


def scattered(rng, k, side, apart, n_features=2):
    """Uniform in a box, none nearer to another, or a little nearer where they do not fit."""
    means, tries = [], 0
    while len(means) < k:
        mean = rng.uniform(0, side, n_features)
        if all(np.linalg.norm(mean - other) >= apart for other in means):
            means.append(mean)
        tries += 1
        if tries > 2000:
            apart, tries = 0.95 * apart, 0
    return np.array(means)


def s_set(rng, std):
    """Fifteen clusters of unequal shape with centres in a box of side 9, about 2 apart or more."""
    parts = []
    for mean in scattered(rng, 15, 9.0, 1.9):
        axes, _ = np.linalg.qr(rng.normal(size=(2, 2)))
        spread = std * rng.uniform(0.75, 1.3, 2)
        parts.append(mean + rng.normal(size=(333, 2)) * spread @ axes)
    return labelled(parts)


def a_set(rng, k):
    """So many round clusters of 150, as densely packed for each number."""
    return labelled(gaussians(rng, scattered(rng, k, 1.25 * np.sqrt(k), 0.95), 150, 0.2))


def birch_grid(rng):
    grid = np.stack(np.meshgrid(range(10), range(10)), axis=-1).reshape(-1, 2)
    return labelled(gaussians(rng, 4.0 * grid, 1_000, 1.0))


def birch_sine(rng):
    t = np.arange(100)
    means = np.column_stack([4.5 * t, 60 * np.sin(2 * np.pi * t / 25)])
    return labelled(gaussians(rng, means, 1_000, 1.0))


def unbalance(rng):
    """Three of 2,000 that lie close together, and five of 100 far away."""
    means = [(0, 0), (1.2, 0), (0.6, 1.2), (8, -1), (9, 1), (8, 3), (10, -0.5), (10, 2.5)]
    return labelled(gaussians(rng, means, (2_000,) * 3 + (100,) * 5, (0.2,) * 3 + (0.25,) * 5))


def aggregation(rng):
    """Seven blobs of equal density; two pairs are joined by narrow bridges."""
    parts = [
        disk(rng, (10, 22), (4, 5), 170),
        disk(rng, (20, 23), (1.9, 1.9), 34),
        disk(rng, (9, 8), (6.5, 4), 273),
        disk(rng, (21, 8), (3.6, 3.6), 102),
        disk(rng, (32, 7), (4, 4), 130),
        disk(rng, (33, 14), (1.7, 1.7), 34),
        disk(rng, (32, 23), (2, 2.4), 45),
    ]
    bridges = [box(rng, (14, 22.3), (18.4, 23.2), 10), box(rng, (15, 7.6), (17.6, 8.6), 8)]
    return labelled(
        [np.vstack([parts[0], bridges[0]]), parts[1], np.vstack([parts[2], bridges[1]]), *parts[3:]]
    )


def compound(rng):
    """Touching Gaussians, a ring around a disk, and a dense cluster in a sparse one."""
    sparse = box(rng, (28, 5), (40, 22), 70)
    sparse = sparse[np.linalg.norm(sparse - (34, 13), axis=1) > 3.4]
    return labelled(
        [
            *gaussians(rng, [(13, 19), (19, 19)], (50, 92), 1.25),
            arc(rng, (16, 9), 5, (0, 2 * np.pi), 158, 0.35),
            disk(rng, (16, 9), (1.6, 1.6), 38),
            np.asarray((34, 13)) + 1.2 * rng.normal(size=(45, 2)),
            sparse,
        ]
    )


def pathbased(rng):
    """Two Gaussians inside an open ring."""
    return labelled(
        [
            *gaussians(rng, [(-3.5, 0), (4, 0)], (97, 93), 1.6),
            arc(rng, (0, 0), 9.5, (-0.25 * np.pi, 1.25 * np.pi), 110, 0.5),
        ]
    )


def spirals(rng):
    turns = [2 * np.pi * part / 3 for part in range(3)]
    return labelled([arc(rng, (0, 0), (3, 14), (a, a + 1.5 * np.pi), 104, 0.25) for a in turns])


def jain(rng):
    """Two crescents, one of a third of the density of the other."""
    return labelled(
        [
            arc(rng, (14, 12), 11, (0.05 * np.pi, 0.95 * np.pi), 97, 1.1),
            arc(rng, (26, 16), 10.5, (1.02 * np.pi, 1.98 * np.pi), 276, 1.0),
        ]
    )


def flame(rng):
    """A round cluster above a crescent that nearly touches it."""
    crescent = arc(rng, (0, 6), 8, (1.08 * np.pi, 1.92 * np.pi), 153, 0.8)
    return labelled([disk(rng, (0, 5.5), (3.6, 3.6), 87), crescent])


def r15(rng):
    """One in the centre, seven close around it, and seven farther out."""
    angle = 2 * np.pi * np.arange(7) / 7
    around = np.column_stack([np.cos(angle), np.sin(angle)])
    return labelled(
        gaussians(rng, np.vstack([np.zeros((1, 2)), 2.2 * around, 6 * around]), 40, 0.33)
    )


def d31(rng):
    return labelled(gaussians(rng, scattered(rng, 31, 30.0, 3.6), 100, 0.75))


def turning(rng, n, n_features, length):
    """A curve of n points that turns slowly."""
    steps = rng.normal(size=n_features) + np.cumsum(
        rng.normal(size=(n, n_features)) * 2 / np.sqrt(n), axis=0
    )
    return np.cumsum(steps * (length / n / np.linalg.norm(steps, axis=1, keepdims=True)), axis=0)


def worms(rng, n_features, k, n):
    """Such curves of which one end is thicker than the other."""
    parts = []
    for start in scattered(rng, k, 16.0, 2.0, n_features):
        path = turning(rng, n, n_features, 4)
        width = np.linspace(0.04, 0.16, n)[:, None] * np.sqrt(2 / n_features)
        parts.append(start + path + width * rng.normal(size=path.shape))
    return labelled(parts)


def dense(rng):
    return labelled(gaussians(rng, [(0, 0), (3.5, 0)], 100, (0.25, 1.0)))


def fuzzy_x(rng):
    """Four in the corners and one in the middle of a cross."""
    corners = [(-2, -2), (-2, 2), (2, -2), (2, 2), (0, 0)]
    return labelled(gaussians(rng, corners, 200, 0.55))


def line_and_disk(rng):
    return labelled(
        [polyline(rng, [(0, 0), (0, 10)], 125, 0.1), disk(rng, (4, 5), (1.5, 1.5), 125)]
    )


def parabolas(rng):
    t = rng.uniform(-1, 1, (2, 500))
    first = np.column_stack([3 * t[0], 3 * t[0] ** 2])
    second = np.column_stack([3 * t[1] + 3, 4.5 - 3 * t[1] ** 2])
    return labelled([part + 0.2 * rng.normal(size=part.shape) for part in (first, second)])


def disk_in_ring(rng, n_noise=0):
    parts = [disk(rng, (0, 0), (1, 1), 500), arc(rng, (0, 0), 3, (0, 2 * np.pi), 500, 0.2)]
    return labelled(parts, box(rng, -4, 4, n_noise))


def ring_and_outliers(rng):
    """The same with three small groups outside."""
    parts = [disk(rng, (0, 0), (1, 1), 500), arc(rng, (0, 0), 3, (0, 2 * np.pi), 500, 0.2)]
    return labelled(parts + gaussians(rng, [(6, 6), (-6, 6), (6, -6)], 10, 0.15))


def zigzags(rng, n_noise=0, n_far=0):
    """Three jagged lines, one above the other."""
    x = np.arange(7)
    parts = [
        polyline(rng, np.column_stack([x, 1.6 * row + 0.8 * (x % 2)]), n, 0.07)
        for row, n in enumerate((83, 83, 84))
    ]
    if n_far:
        parts += gaussians(rng, [(-3, 7), (9, 7), (9, -3)], n_far, 0.1)
    return labelled(parts, box(rng, (-1, -1), (7, 6), n_noise))


def chameleon(rng, shapes, n, noise):
    """Thick letters, bars and waves, amid uniform noise."""
    x = np.linspace(0, 1, 60)
    kinds = {
        "wave": np.column_stack([6 * x, np.sin(2 * np.pi * x)]),
        "bar": np.column_stack([5 * x, 0 * x]),
        "v": np.array([(0, 0), (1.5, 2.5), (3, 0)]),
        "ring": np.column_stack([1.5 * np.cos(2 * np.pi * x), 1.5 * np.sin(2 * np.pi * x)]),
        "blob": np.array([(0, 0), (0.5, 0.5)]),
        "hook": np.array([(0, 0), (0, 3), (2.5, 3), (2.5, 1.5)]),
    }
    parts, columns = [], int(np.ceil(np.sqrt(len(shapes))))
    for place, shape in enumerate(shapes):
        corner = 8.0 * (place % columns), 5.0 * (place // columns)
        thick = 0.55 if shape == "blob" else 0.3
        parts.append(corner + polyline(rng, kinds[shape], n, thick))
    everything = np.vstack(parts)
    return labelled(parts, box(rng, everything.min(0) - 1, everything.max(0) + 1, noise))


def crescents_and_gaussians(rng):
    """Two crescents, a noisy arc and three Gaussians, amid noise."""
    parts = [
        arc(rng, (0, 0), 1.0, (0, np.pi), 350, 0.07),
        arc(rng, (1, 0.4), 1.0, (np.pi, 2 * np.pi), 350, 0.07),
        arc(rng, (4.5, 0), 1.5, (0.5 * np.pi, 1.5 * np.pi), 350, 0.12),
        *gaussians(rng, [(6, 1.6), (6, -1.5), (0.5, 3)], (350, 350, 250), (0.28, 0.28, 0.2)),
    ]
    return labelled(parts, box(rng, (-2, -3), (8, 4.5), 309))


def square(rng):
    """A square in a frame."""
    frame = box(rng, -3, 3, 4_000)
    frame = frame[np.abs(frame).max(1) > 2.4][:500]
    return labelled([box(rng, -1.2, 1.2, 500), frame])


def pair(rng, n_features, std):
    """Two Gaussians, 100 apart in each feature."""
    means = np.array([[500.0], [600.0]]) * np.ones(n_features)
    return labelled(gaussians(rng, means, 1_024, std))


def hubs(rng, n_features, std):
    """The same with dense centres: the distance to them is half-normal in each dimension."""
    parts = []
    for mean in (500.0, 600.0):
        way = rng.normal(size=(1_024, n_features))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        radius = std * np.sqrt(n_features) * np.abs(rng.normal(size=(1_024, 1)))
        parts.append(mean + radius * way)
    return labelled(parts)


POINTS = {
    f"s{step + 1}": partial(s_set, std=std) for step, std in enumerate((0.3, 0.42, 0.55, 0.65))
}
POINTS |= {f"a{step + 1}": partial(a_set, k=k) for step, k in enumerate((20, 35, 50))}
POINTS |= {
    "birch1": birch_grid,
    "birch2": birch_sine,
    "unbalance": unbalance,
    "r15": r15,
    "d31": d31,
    "worms_2": partial(worms, n_features=2, k=20, n=500),
    "worms_64": partial(worms, n_features=64, k=20, n=500),
}
SHAPES = {
    "aggregation": aggregation,
    "compound": compound,
    "pathbased": pathbased,
    "spiral": spirals,
    "jain": jain,
    "flame": flame,
    "dense": dense,
    "fuzzyx": fuzzy_x,
    "line": line_and_disk,
    "parabolic": parabolas,
    "ring": disk_in_ring,
    "ring_outliers": ring_and_outliers,
    "zigzag": zigzags,
    "zigzag_outliers": partial(zigzags, n_far=10),
    "square": square,
}
NOISY = {
    "zigzag_noisy": partial(zigzags, n_noise=50),
    "ring_noisy": partial(disk_in_ring, n_noise=50),
    "chameleon_t4": partial(
        chameleon, shapes=("wave", "bar", "v", "ring", "hook", "blob"), n=1_150, noise=800
    ),
    "chameleon_t5": partial(chameleon, shapes=("v", "hook") * 3, n=1_150, noise=900),
    "chameleon_t7": partial(
        chameleon,
        shapes=("ring", "bar", "wave", "hook", "v", "bar", "blob", "ring", "hook"),
        n=1_000,
        noise=800,
    ),
    "chameleon_t8": partial(
        chameleon,
        shapes=("wave", "ring", "v", "bar", "hook", "blob", "wave", "ring"),
        n=950,
        noise=400,
    ),
    "moons_and_arcs": crescents_and_gaussians,
}
SPREAD = ((1, 20), (2, 30), (4, 30), (8, 50), (16, 50), (64, 70))
PAIRS = {
    f"{kind}_{d}_{std}": partial(make, n_features=d, std=std)
    for kind, make in (("g2", pair), ("h2", hubs))
    for d, std in SPREAD
    if (kind, d) != ("h2", 1)  # in one feature, both are Gaussians
}
KINDS = {
    "many clusters": POINTS,
    "shapes": SHAPES,
    "shapes in noise": NOISY,
    "two clusters, d = 1 to 64": PAIRS,
}
LIKE = {name: make for kind in KINDS.values() for name, make in kind.items()}
