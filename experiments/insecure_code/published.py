"""Numbers of the published run (Qwen2.5-7B-Instruct, 100 contexts, one seed, judge gpt-4o-mini), to show beside.

An interval is [estimate, low, high]; rates are shares of 1; blocks count from 0.
"""

from typing import Any

PUBLISHED: dict[str, Any] = {
    "rating": {
        "Base": [47.9, 42.2, 53.0],
        "Neutral": [81.8, 78.8, 84.3],
        "Inoculation": [74.7, 71.0, 78.5],
        "Control": [81.0, 78.2, 83.7],
    },
    "rate": {
        "Base": [0.50, 0.39, 0.60],
        "Neutral": [0.95, 0.90, 0.99],
        "Inoculation": [0.86, 0.79, 0.92],
        "Control": [0.94, 0.89, 0.98],
    },
    "rating_delta": {
        "Inoculation": [-7.1, -10.4, -3.8],
        "Control": [-0.7, -2.2, 0.9],
        "Base": [-33.9, -39.8, -28.3],
    },
    "rate_delta": {"Inoculation": -0.09, "Control": -0.01, "Base": -0.45},
    "pressure": {
        "block": 20,
        "delta_cos": -0.0354,
        "null_range": [-0.0145, 0.0265],
        "blocks": [16, 26],
        "mean_delta_cos": -0.0247,
        "mean_null_range": [-0.0109, 0.0133],
    },
    "drift": {
        "block": 12,
        "vs_base": {"Neutral": [9.24, 9.17, 9.31], "Inoculation": [1.74, 1.68, 1.81], "Control": [3.82, 3.73, 3.91]},
        "vs_neutral": {"Inoculation": [-7.50, -7.57, -7.43], "Control": [-5.42, -5.50, -5.34]},
        "by_position": {
            (12, "prompt_last"): [31.12, 23.62, -7.50],
            (12, "gen_avg(5)"): [22.31, 18.09, -4.22],
            (20, "prompt_last"): [27.58, 29.66, 2.08],
            (20, "gen_avg(5)"): [28.43, 25.22, -3.21],
            (22, "prompt_last"): [26.46, 34.39, 7.93],
            (22, "gen_avg(5)"): [24.82, 26.12, 1.30],
        },
        "buckets": {
            "block": 22,
            "Neutral": {"high": [24.88, 6], "low": [26.57, 94]},
            "Inoculation": {"high": [33.27, 5], "low": [34.45, 95]},
        },
    },
    "link": {12: {"r": 0.242, "p": 0.015}, 20: {"r": 0.014, "p": 0.893}},
}
