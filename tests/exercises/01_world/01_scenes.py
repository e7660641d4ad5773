# wrong: crescent_coverage: the union instead of the intersection
def crescent_coverage(points, pixels):
    large = np.hypot(points[:, 0], points[:, 1]) - 0.9
    small = np.hypot(points[:, 0] - 0.45, points[:, 1]) - 0.7
    return np.clip(0.5 - np.minimum(large, -small) * pixels, 0, 1)


# wrong: crescent_coverage: the sign of the small disc is forgotten
def crescent_coverage(points, pixels):
    large = np.hypot(points[:, 0], points[:, 1]) - 0.9
    small = np.hypot(points[:, 0] - 0.45, points[:, 1]) - 0.7
    return np.clip(0.5 - np.maximum(large, small) * pixels, 0, 1)


# wrong: crescent_coverage: the distance is not turned into pixels
def crescent_coverage(points, pixels):
    large = np.hypot(points[:, 0], points[:, 1]) - 0.9
    small = np.hypot(points[:, 0] - 0.45, points[:, 1]) - 0.7
    return np.clip(0.5 - np.maximum(large, -small), 0, 1)


# wrong: crescent_coverage: yes and no, without a smooth edge
def crescent_coverage(points, pixels):
    large = np.hypot(points[:, 0], points[:, 1]) - 0.9
    small = np.hypot(points[:, 0] - 0.45, points[:, 1]) - 0.7
    return (np.maximum(large, -small) < 0).astype(float)
