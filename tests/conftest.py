"""What holds for every test."""

import signal

# A run in the background, or under nohup, inherits these as ignored, and so would each
# program that a test starts and then interrupts. What is handled is no longer ignored
# after an exec.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
