"""Settings with which the network pickers are trained in a second or two, to learn hardly anything."""

TINY = {
    "deepem": dict(box=41, boxes=16, epochs=1, rounds=1, stride=12),
    "deeppicker": dict(pretrain=False, width=0.25, boxes=16, epochs=1, stride=16),
    "eman2_cnn": dict(box=16, filters=2, rotated=20, epochs=1),
    "fastparticlepicker": dict(width=0.02, steps=2),
    "pixer": dict(width=0.02, crops=8, per_class=16, epochs=1),
}
