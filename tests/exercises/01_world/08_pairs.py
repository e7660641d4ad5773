# wrong: denoise_from_points: the distance is not squared
def denoise_from_points(points, y, sigma):
    return (-torch.cdist(y, points) / (2 * sigma**2)).softmax(1) @ points


# wrong: denoise_from_points: the two is forgotten
def denoise_from_points(points, y, sigma):
    return (-(torch.cdist(y, points) ** 2) / sigma**2).softmax(1) @ points


# wrong: denoise_from_points: the softmax goes over the noisy points
def denoise_from_points(points, y, sigma):
    return (-(torch.cdist(y, points) ** 2) / (2 * sigma**2)).softmax(0) @ points


# wrong: denoise_from_points: always the nearest point
def denoise_from_points(points, y, sigma):
    return points[torch.cdist(y, points).argmin(1)]


# wrong: denoise_from_points: the farthest point counts most
def denoise_from_points(points, y, sigma):
    return (torch.cdist(y, points) ** 2 / (2 * sigma**2)).softmax(1) @ points
