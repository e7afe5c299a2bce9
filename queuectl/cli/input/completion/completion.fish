# Completion of queuectl for fish.
#
# queuectl itself is asked what fits, in a line: what it is, a tab, the word, a tab, and
# what the word means. fish replaces --option=value as a whole.
function _queuectl_completion
    set -l token (commandline -ct)
    set -l option (string match -r -- '^--[^=]+=' $token)
    set -l value (string replace -r -- '^--[^=]+=' '' "$token")
    set -l answer (env _QUEUECTL_COMPLETE=fish_complete \
        _QUEUECTL_LINE=(commandline -cp | string collect) queuectl 2>/dev/null)
    for line in $answer
        set -l item (string split -m 1 \t -- $line)
        switch $item[1]
            case plain joined
                printf '%s%s\n' "$option" $item[2]
            case dir
                for path in (__fish_complete_directories "$value" '')
                    printf '%s%s\n' "$option" $path
                end
            case file
                for path in (__fish_complete_path "$value")
                    printf '%s%s\n' "$option" $path
                end
            case command
                complete -C "$value"
        end
    end
end

complete --no-files --keep-order --command queuectl --arguments '(_queuectl_completion)'
